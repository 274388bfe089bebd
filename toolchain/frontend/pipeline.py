"""The passes of normalization, in order: each is a file in `toolchain.frontend.passes`, and its name is in a list here.

What each does, requires and ensures is said in its file; docs/passes.md has it in one table.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence

from toolchain.frontend.facts import Facts
from toolchain.frontend.passes.base import Pass, Subject

READ = (
    # Plain operators of ONNX only. What comes out is the source that the result is compared with.
    "stored_weights",
    "inline",
    "float64",
    "picture_axes",
)
"""On the ONNX model, before its ends are looked at."""

OPEN = (
    # float32 everywhere, one picture of floats at either end, opset 17.
    "float16",
    "pixel_ends",
    "batch",
    "opset",
)
"""On the ONNX model."""

REWRITE = (
    # Constants are computed now, operators without effect go, borders that are written by index are recognized.
    "constants",
    "noops",
    "constants",
    "border_fill",
    # Channels-last ends become NCHW, what is computed from the picture's size is taken for that of multiples,
    # rows of pixels are pictures, transposes meet and vanish, pixel shuffles are recognized in any spelling.
    "channels_first",
    "multiples",
    "tokens",
    "layout",
    "shuffle",
    "layout",
    "noops",
    # Normalization over the whole picture is means and products.
    "picture_norms",
    # Paddings are explicit, sizes that were baked in or computed become factors; writes and choices of channels and
    # crops get one spelling.
    "pads",
    "subsample",
    "pools",
    "sizes",
    "channel_writes",
    "channels",
    "windows",
    # Means over the picture are global pooling, and channel attention keeps four axes; normalization over channels is
    # one operator; sums and means over channels are convolutions.
    "global_pools",
    "layer_norms",
    "rms_norms",
    "channel_means",
    # Both ends have one value range; every convolution has a bias.
    "final_limits",
    "pixel_scale",
    "biases",
    # Scalings, offsets and batch normalization are folded into convolutions; the final clip is taken off.
    "affine",
    "final_clip",
    # Spelled-out activations become PRelu or Relu, other limits get one spelling.
    "prelu",
    "biases",
    "clips",
    # What is subtracted is negated where it is made, and added; what divides is inverted, and multiplied.
    "differences",
    "quotients",
    # Layers have one stride for both directions.
    "unequal_strides",
    # Transposed convolutions become convolutions with a pixel shuffle; activations move before the shuffle.
    "transposed",
    "early",
    # Linear branches are merged: they stand out once activations are recognized and sums precede shuffles. The anchor
    # that is added to the output, now that of one convolution, gets one spelling, other enlargements by nearest
    # neighbours another.
    "collapse",
    "anchor",
    "nearest",
    # Parallel convolutions of one input become one.
    "parallel",
    # What is cut off inside is cut off at the end; a network that gives too little is given a larger picture.
    "crops",
    "full_size",
    # The ends are called "input" and "output", every operator has a name.
    "names",
)
"""On the graph, opened for editing."""


def find_pass(name: str, subject: type[Subject]) -> Pass[Subject]:
    """Return the pass on a ``subject`` (`onnx.ModelProto` or `Graph`) in the file ``name`` of
    `toolchain.frontend.passes`.

    Raises:
        ValueError: there is none.
    """
    try:
        found = importlib.import_module(f"toolchain.frontend.passes.{name}").apply
    except (ImportError, AttributeError) as error:
        raise ValueError(f"there is no frontend pass '{name}'") from error
    if not isinstance(found, Pass):
        raise TypeError(f"'apply' of the frontend pass '{name}' is not made by model_pass or graph_pass")
    return found


def find_passes(names: Sequence[str], subject: type[Subject]) -> tuple[Pass[Subject], ...]:
    """Return the passes of these names.

    Raises:
        ValueError: there is no such pass, or one requires what none before it ensures.
    """
    passes = tuple(find_pass(name, subject) for name in names)
    for place, step in enumerate(passes):
        ensured = [found for earlier in passes[:place] for found in earlier.ensures]
        for wanted in step.requires:
            if wanted not in ensured:
                raise ValueError(f"the pass '{step.name}' requires that {wanted}, which no pass before it ensures")
    return passes


def run_passes(
    passes: Sequence[Pass[Subject]],
    subject: Subject,
    facts: Facts,
    watch: Callable[[Pass[Subject], Subject], None] = lambda step, subject: None,
) -> Facts:
    """Run passes in order on one network, in place; returns what is known after them.

    Args:
        passes: in order.
        subject: the network, which is changed.
        facts: what is known before them.
        watch: is called after each.

    Raises:
        ModelError: the network cannot be used.
    """
    for step in passes:
        facts = step(subject, facts)
        watch(step, subject)
    return facts
