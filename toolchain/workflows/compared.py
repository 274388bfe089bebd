"""What a bundle is compared with: the float model as a rule, any other that onnxruntime runs, or another bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from toolchain.backends.open import load
from toolchain.bundle import open_bundle
from toolchain.bundle.store import MANIFEST
from toolchain.frontend import is_quantized, load_model, normalize
from toolchain.frontend.as_is import AsIs
from toolchain.frontend.inputs import set_inputs
from toolchain.images.geometry import Geometry
from toolchain.runtime.tiles import tiling
from toolchain.support.errors import InputError, ModelError
from toolchain.targets.precision import TITLES
from toolchain.workflows.evaluate import Upscale, float_upscale

NOTHING: Mapping[str, float] = {}


@dataclass(frozen=True, eq=False)
class Compared:
    """A network to compare with.

    Attributes:
        name: for people.
        channels: 1 or 3.
        scale: output pixels per input pixel and direction.
        upscale: u8 (h, w, channels) to u8 (h*scale, w*scale, channels).
        note: what is to be said of how it runs; empty where nothing is.
    """

    name: str
    channels: int
    scale: int | Fraction
    upscale: Upscale
    note: str = ""


def open_compared(
    path: Path,
    geometry: Geometry,
    *,
    value_range: str | None = None,
    inputs: Mapping[str, float] = NOTHING,
    threads: int | None = None,
) -> Compared:
    """Return the bundle or model at ``path``, ready to run.

    A float model is normalized, and its output saturates as pixels do. Where that cannot be, and where a model is
    quantized already, onnxruntime runs it as it is.

    Args:
        path: of an .onnx file, or a bundle's folder.
        geometry: of the bundle that is compared: the other must have its channels and scale.
        value_range: of the model, as `normalize` takes it.
        inputs: values of its inputs beside the picture, by name.
        threads: to use; None for all.

    Raises:
        InputError, ModelError, BundleError, TargetError: it cannot be used, and why.
    """
    other = open_network(path, value_range=value_range, inputs=inputs, threads=threads)
    if (other.scale, other.channels) != (geometry.scale, geometry.channels):
        raise InputError(
            f"{path.name} is another kind of network: x{other.scale}, {other.channels} channels, "
            f"not x{geometry.scale}, {geometry.channels}"
        )
    return other


def open_network(
    path: Path,
    *,
    value_range: str | None = None,
    inputs: Mapping[str, float] = NOTHING,
    threads: int | None = None,
) -> Compared:
    """Do the same for a network of any channels and scale."""
    if (path / MANIFEST).is_file():
        if value_range is not None or inputs:
            raise InputError("a bundle's range and inputs are known", hint="leave --range and --input away")
        return _bundle(path, threads)
    model = set_inputs(load_model(path), inputs)
    if is_quantized(model):
        network, reason = AsIs(model, value_range=value_range, threads=threads), ""
    else:
        try:
            sr = normalize(model, value_range=value_range)
        except ModelError as error:
            try:
                network, reason = AsIs(model, value_range=value_range, threads=threads), f": {error.message}"
            except ModelError:
                raise error from None
        else:
            return Compared(
                "FP32 model", sr.channels, sr.scale, float_upscale(sr.model, sr.value_range, threads=threads)
            )
    note = f"{path.name} runs in onnxruntime as it is{reason}"
    return Compared(path.stem, network.channels, network.scale, network.run, note)


def _bundle(path: Path, threads: int | None) -> Compared:
    bundle = open_bundle(path, for_this_machine=True)
    known = bundle.manifest
    upscale = tiling(known, threads=threads).over(load(bundle, threads=threads).upscale)
    return Compared(f"{path.stem} {TITLES[known.precision]}", known.channels, known.scale, upscale)
