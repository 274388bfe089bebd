"""A model and photographs become a network that runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from clipfree.network import Network


def deploy(
    model: str | Path,
    photographs: str | Path | Sequence[str | Path] | None = None,
    *,
    target: str = "host",
    out: str | Path = "out",
    name: str | None = None,
    precision: str = "int8",
    value_range: str | None = None,
    max_loss: float | None = None,
    budget: float | None = None,
    bits: Mapping[str, int | tuple[int, ...]] | None = None,
    weight_bits: int | Mapping[str, int] | None = None,
    codebook: bool = False,
    inputs: Mapping[str, float] | None = None,
    keep: bool = True,
    progress: Callable[[str, float], None] | None = None,
) -> Network:
    """Quantize a model, compile it, verify it and write its bundle: what ``clipfree deploy`` does.

    Args:
        model: a file (.onnx, .tflite, .pt2, .pth, .safetensors), or "zoo:NAME".
        photographs: a folder, or picture files, of the kind that the network will see. None for an embedded network
            (those of scikit-image are taken), for a model that is quantized already, and for float precisions.
        target: "host", or one of ``clipfree targets list``.
        out: the bundle's folder if it ends in ".clipfree", else the folder in which it is made.
        name: of the bundle; None: the model's.
        precision: "int8", "float32", "float16", or "float" for what suits the target.
        value_range: what the model's numbers mean: "0..1", "0..255", "-1..1" or "INPUT:OUTPUT"; None: it is found.
        max_loss: PSNR in dB that INT8 may lose against float, without labels.
        budget: percent by which work may grow for 16 bits; 0: 8 bits everywhere. None, and no ``max_loss``: 8, where
            more than 0.05 dB is lost.
        bits: 16 for tensors, by name or pattern of names, or the numbers of the channels that have 16.
        weight_bits: of weights, 2 to 8: a number for all, or numbers by name or pattern of names ("*": all). None: 8.
            Where they are given, nothing is spent on 16 bits without ``max_loss`` or ``budget``.
        codebook: weights of at most 6 bits are places in a codebook of each convolution.
        inputs: values of the model's inputs beside the picture, by name.
        keep: keep the quantized network in the user's cache, or take it from there.
        progress: called with what happens, as text, and the share of all that is done, 0 to 1.

    Raises:
        QualityError: more is lost than ``max_loss`` whatever has 16 bits; the bundle is there all the same.
        ClipfreeError: of another kind, for a model, photographs, target or place that cannot be used.
    """
    from toolchain.quantize import Settings
    from toolchain.quantize.weight_bits import EVERY
    from toolchain.support.errors import QualityError
    from toolchain.targets import find_target
    from toolchain.targets.precision import INT8, read_precision
    from toolchain.workflows.deploy import Event, Request
    from toolchain.workflows.deploy import deploy as run
    from toolchain.zoo.demo_photos import demo_photographs
    from toolchain.zoo.embedded import PREFIX, resolve

    chosen = read_precision(precision, gpu=find_target(target).gpu is not None)
    calibration: Path | Sequence[Path] | None
    if photographs is None:
        embedded = str(model).startswith(PREFIX) and chosen == INT8
        calibration = demo_photographs() if embedded else None
    elif isinstance(photographs, (str, Path)):
        calibration = Path(photographs)
    else:
        calibration = tuple(Path(photo) for photo in photographs)
    narrow = {EVERY: weight_bits} if isinstance(weight_bits, int) else weight_bits or {}
    asked = bits or narrow or codebook or budget is not None or max_loss is not None
    request = Request(
        resolve(str(model)),
        Path(out),
        calibration,
        target,
        name,
        value_range,
        Settings(bits=bits or {}, weight_bits=narrow, codebook=codebook, budget=budget, max_loss=max_loss)
        if asked
        else None,
        precision=chosen,
        keep=keep,
        inputs=inputs or {},
    )

    def tell(event: Event) -> None:
        if progress is not None:
            progress(f"{event.step}: {event.detail}" if event.detail else event.step, event.share)

    done = run(request, progress=tell)
    if done.bound is not None and done.bound.demanded and not done.bound.kept:
        raise QualityError(
            f"{done.path} loses more than {done.bound.wanted:g} dB",
            hint="the bundle is there all the same; choose a larger max_loss, or see `clipfree fidelity`",
        )
    return Network(done.path)
