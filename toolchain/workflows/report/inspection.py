"""What can be said of a model before it is deployed: its shape, work, clip, and how much of it will run in integers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from toolchain.backends import backend_for
from toolchain.bundle import IntegerCoverage
from toolchain.frontend.smallest import smallest_picture
from toolchain.images.scale import Scale
from toolchain.reference.network import Layer, NetworkFigures, describe_network
from toolchain.support.errors import ModelError, TargetError
from toolchain.support.wording import name_some
from toolchain.targets import find_target
from toolchain.targets.precision import INT8, read_precision

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import onnx

    from toolchain.frontend import Clip, Merge, SRModel
    from toolchain.lower import Coverage
    from toolchain.quantize import QuantizedModel
    from toolchain.reference.bounds import Proof
    from toolchain.targets import Target


@dataclass(frozen=True)
class Collapse:
    """What merging linear branches did to the whole network.

    Attributes:
        nodes_before, nodes_after: operators, everything else being normalized.
        macs_before, macs_after: multiply-accumulates per input pixel.
        merges: the convolutions that came out, with the outlier ratios of their weights.
    """

    nodes_before: int
    nodes_after: int
    macs_before: float
    macs_after: float
    merges: tuple[Merge, ...]


@dataclass(frozen=True)
class Outlook:
    """What a deployment does, told before it is begun.

    Attributes:
        target: its name.
        precision: "int8", "float32" or "float16".
        obstacle: the sentence with which it is refused; empty if it is not.
        coverage: what runs in kernels of ours and which operators do not, as the bundle will say; None if refused. Of
            the float network's own convolutions: where photographs make a tensor one of 16 bits in some of its channels
            (`toolchain.quantize.mixed`), the bundle counts two for the one before it.
        lacking: what this machine lacks to make it; empty if nothing.
        layered: the operators, as far as known, through which no rows stream, so that tensors before and behind them
            are whole; None where there are none, where a device runs it, and where it is refused.
        segments: parts of the network that rows stream through, with whole tensors between them; 0 where it runs layer
            by layer, on a device, and where it is refused.
    """

    target: str
    precision: str
    obstacle: str
    coverage: Coverage | None
    lacking: str = ""
    layered: tuple[str, ...] | None = None
    segments: int = 0

    def __str__(self) -> str:
        if self.coverage is None:
            return f"not at all: {self.obstacle}"
        others = ", ".join(self.coverage.float_operators)
        ours, theirs = ("integers", "in float") if self.precision == INT8 else ("float kernels", "left to the compiler")
        text = f"in {ours}, but {theirs}: {others}" if others else f"all in {ours}"
        if self.segments > 1 or self.layered is not None:
            parts = f"rows stream in {self.segments} parts, with whole tensors between them"
            text += f"; {parts}" if self.segments else "; layer by layer on whole tensors"
            text += f", for {name_some(self.layered)}" if self.layered else ""
        return f"{text}; not from this machine: {self.lacking}" if self.lacking else text


@dataclass(frozen=True)
class Inspection:
    """A model, looked at.

    Attributes:
        name: of the graph.
        kind: "float" or "QDQ".
        channels: 1 (luma) or 3 (RGB).
        scale: output pixels per input pixel and direction.
        value_range: what its floats mean.
        clip: the final clip found, None without one.
        halo: receptive-field radius in input pixels.
        parameters: weights and biases of the convolutions.
        macs_per_pixel: multiply-accumulates per input pixel.
        memory_per_pixel: bytes of 8-bit activations alive at once, per input pixel.
        coverage: what will run as integer kernels.
        layers: the convolutions.
        operators: how often each operator stands in the normalized graph.
        changes: one line for each normalization that changed something.
        collapse: what merging linear branches did; None if there was nothing to merge.
        proof: what holds of its integers for every picture; None of a float network, which has none yet.
        smallest: height and width of the smallest picture that it takes.
        outlooks: what deploying it will say, for each target asked for.
        wide: the tensors of 16 bits and what they cost, for people; empty without any.
    """

    name: str
    kind: str
    channels: int
    scale: Scale
    value_range: tuple[float, float]
    clip: Clip | None
    halo: int
    parameters: int
    macs_per_pixel: float
    memory_per_pixel: float
    coverage: IntegerCoverage
    layers: tuple[Layer, ...]
    operators: tuple[tuple[str, int], ...]
    changes: tuple[str, ...]
    collapse: Collapse | None
    proof: Proof | None = None
    wide: str = ""
    smallest: tuple[int, int] = (1, 1)
    outlooks: tuple[Outlook, ...] = ()


def inspect_model(
    path: Path,
    *,
    value_range: str | None = None,
    targets: Sequence[str] = (),
    precision: str = INT8,
    inputs: Mapping[str, float] | None = None,
) -> Inspection:
    """Load and normalize a float model, or canonicalize a QDQ one, and describe it, also as ``targets`` will run it.

    ``precision``: that of the deployments, as `toolchain.targets.precision.read_precision` knows it; ``inputs``: values
    of inputs beside the picture.

    Raises:
        ModelError: the model cannot be used.
        InputError: a precision that is not known.
        TargetError: a target that is not known.
    """
    from toolchain.frontend import is_quantized, load_model, normalize
    from toolchain.frontend.inputs import set_inputs
    from toolchain.quantize.stand_in import stand_in

    asked = [find_target(name) for name in targets]
    names = [read_precision(precision, gpu=target.gpu is not None) for target in asked]
    model = set_inputs(load_model(path), inputs or {})
    network: SRModel | None = None
    if is_quantized(model):
        from toolchain.quantize.foreign import canonicalize

        quantized = canonicalize(model, value_range=value_range)
        found, integer = _quantized(quantized), quantized.model
    else:
        network = normalize(model, value_range=value_range)
        found, integer = _float(network), stand_in(network)
    outlooks = [_outlook(path, network, integer, target, name) for target, name in zip(asked, names, strict=True)]
    return replace(found, outlooks=tuple(outlooks))


def _outlook(path: Path, network: SRModel | None, integer: onnx.ModelProto, target: Target, precision: str) -> Outlook:
    backend = backend_for(target)
    lacking = ""
    try:
        backend.check(target)
        if precision == INT8:
            found = backend.rehearse(integer, target)
        elif network is None:
            raise ModelError(f"{path.name} is quantized already", hint="give the float model for a float network")
        else:
            found = backend.rehearse_floats(network, target, precision)
    except (ModelError, TargetError) as error:
        return Outlook(target.name, precision, str(error), None)
    try:
        backend.linker(target)
    except TargetError as error:
        lacking = str(error)
    return Outlook(target.name, precision, "", found.coverage, lacking, found.layered, found.segments)


def _float(sr: SRModel) -> Inspection:
    from toolchain.quantize.plan import make_plan

    plan = make_plan(sr)
    return _inspection(sr, "float", sr.model, frozenset(plan.convolutions), plan.float_operators, sr.changes, sr.merges)


def _quantized(model: QuantizedModel) -> Inspection:
    from toolchain.reference.bounds import prove
    from toolchain.reference.program import FloatStep, parse
    from toolchain.reference.steps import ConvStep

    steps = parse(model.model).steps
    operators = dict.fromkeys(name for step in steps if isinstance(step, FloatStep) for name in step.operators)
    network = describe_network(model.model)
    count = sum(isinstance(step, ConvStep) for step in steps)
    # Names of convolutions are not kept by the parser; a fully integer network needs none.
    integer = frozenset(layer.name for layer in network.layers[:count])
    found = _inspection(model, "QDQ", model.model, integer, tuple(operators), model.recipe.changes)
    return replace(found, proof=prove(model.model, model.value_range))


def _inspection(
    source: SRModel | QuantizedModel,
    kind: str,
    model: onnx.ModelProto,
    integer: frozenset[str],
    float_operators: tuple[str, ...],
    changes: tuple[str, ...],
    merges: tuple[Merge, ...] = (),
) -> Inspection:
    network = describe_network(model)
    return Inspection(
        name=source.name,
        kind=kind,
        channels=source.channels,
        scale=source.scale,
        value_range=source.value_range,
        clip=source.clip,
        halo=source.halo,
        parameters=network.parameters,
        macs_per_pixel=network.macs_per_pixel,
        memory_per_pixel=network.peak_values_per_pixel,
        coverage=_coverage(network, integer, float_operators),
        layers=network.layers,
        operators=network.operators,
        changes=changes,
        collapse=_collapse(network, merges) if merges else None,
        wide=network.describe_wide(),
        smallest=smallest_picture(model),
    )


def _collapse(network: NetworkFigures, merges: tuple[Merge, ...]) -> Collapse:
    nodes = sum(count for _, count in network.operators)
    return Collapse(
        nodes_before=nodes + sum(merge.nodes - 1 for merge in merges),
        nodes_after=nodes,
        macs_before=network.macs_per_pixel + sum(merge.macs_before - merge.macs_after for merge in merges),
        macs_after=network.macs_per_pixel,
        merges=merges,
    )


def _coverage(network: NetworkFigures, integer: frozenset[str], float_operators: tuple[str, ...]) -> IntegerCoverage:
    done = [layer for layer in network.layers if layer.name in integer]
    macs = sum(layer.macs_per_pixel for layer in done)
    return IntegerCoverage(len(network.layers), len(done), network.macs_per_pixel, macs, float_operators)
