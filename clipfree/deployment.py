"""A model and photographs become a network that runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from clipfree.arguments import Bits, Budget, Photographs, Progress, paths_of, settings_of
from clipfree.network import Network

if TYPE_CHECKING:
    from toolchain.workflows.deploy import Event


def deploy(
    model: str | Path,
    photographs: Photographs | None = None,
    *,
    target: str = "host",
    out: str | Path = "out",
    name: str | None = None,
    precision: str = "int8",
    value_range: str | None = None,
    max_loss: float | None = None,
    budget: Budget | None = None,
    bits: Bits | None = None,
    weight_bits: int | str | Mapping[str, int] | None = None,
    codebook: bool = False,
    bits_nested: Sequence[int] = (),
    outliers: bool = True,
    estimator: str | None = None,
    weights: str | None = None,
    inputs: Mapping[str, float] | None = None,
    logs: str | Path | Sequence[str | Path] = (),
    tuned_for: tuple[int, int] = (360, 640),
    static: bool = False,
    keep: bool = True,
    progress: Progress | None = None,
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
            more than 0.05 dB is lost. "bops=100%", "size=60%" or "size=20kB", or several: bits of weights and of
            activations are chosen together for least loss, or with ``max_loss`` for least cost.
        bits: 16 for tensors, by name or pattern of names, or the numbers of the channels that have 16.
        weight_bits: of weights, 2 to 8: a number for all, or numbers by name or pattern of names ("*": all); "auto": as
            few as keep to ``max_loss``, or to 0.05 dB. None: 8. Where numbers are given, nothing is spent on 16 bits
            without ``max_loss`` or ``budget``.
        codebook: weights of at most 6 bits are places in a codebook of each convolution.
        bits_nested: of weights, falling, such as (8, 6, 4): the bundle holds a file ``model.nested`` too, whose
            beginnings are the networks of fewer bits.
        outliers: others of at most 6 bits may leave the largest few of each output 8 bits, where that pays.
        estimator: of activation ranges: "percentile[:P]" (None), "mse", "minmax", "entropy", "average".
        weights: estimator of each channel's weights: "output" (None), "mse", "minmax" or "percentile:P".
        inputs: values of the model's inputs beside the picture, by name.
        logs: folders of tuning logs that come before the package's own, such as `tune` writes.
        tuned_for: be fast for inputs of this height and width.
        static: write ``libmodel.a`` too.
        keep: keep the quantized network in the user's cache, or take it from there.
        progress: called with what happens, as text, and the share of all that is done, 0 to 1.

    Raises:
        QualityError: more is lost than ``max_loss`` whatever has 16 bits; the bundle is there all the same.
        ClipfreeError: of another kind, for a model, photographs, target or place that cannot be used.
    """
    from toolchain.support.errors import QualityError
    from toolchain.targets import find_target
    from toolchain.targets.precision import INT8, read_precision
    from toolchain.workflows.deploy import Request
    from toolchain.workflows.deploy import deploy as run
    from toolchain.zoo.demo_photos import demo_photographs
    from toolchain.zoo.embedded import PREFIX, resolve

    chosen = read_precision(precision, gpu=find_target(target).gpu is not None)
    calibration: Path | Sequence[Path] | None
    if photographs is None:
        embedded = str(model).startswith(PREFIX) and chosen == INT8
        calibration = demo_photographs() if embedded else None
    else:
        calibration = paths_of(photographs)
    settings = settings_of(
        bits,
        budget,
        max_loss,
        estimator,
        weights,
        weight_bits,
        codebook=codebook,
        bits_nested=bits_nested,
        outliers=outliers,
    )
    request = Request(
        resolve(str(model)),
        Path(out),
        calibration,
        target,
        name,
        value_range,
        settings,
        (Path(logs),) if isinstance(logs, (str, Path)) else tuple(Path(one) for one in logs),
        tuned_for,
        precision=chosen,
        static=static,
        keep=keep,
        page=True,
        inputs=inputs or {},
    )

    def tell(event: Event) -> None:
        if progress is not None:
            progress(f"{event.step}: {event.detail}" if event.detail else event.step, event.share)

    done = run(request, progress=tell)
    if done.missed is not None:
        raise QualityError(
            f"{done.path} loses more than {done.missed:g} dB",
            hint="the bundle is there all the same; choose a larger max_loss, or see `clipfree fidelity`",
        )
    return Network(done.path)
