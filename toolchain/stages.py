"""The stages that a deployment is made of, as functions that can be replaced: tests put small ones in their place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import onnx

    from toolchain.bundle import TunedCoverage
    from toolchain.frontend import SRModel
    from toolchain.quantize import QuantizedModel, Settings
    from toolchain.schedules.select import Tuning
    from toolchain.targets import Target
    from toolchain.targets.linker import Linker

Pixels = npt.NDArray[np.uint8]
Upscale = Callable[[Pixels], Pixels]


class Compiled(Protocol):
    """What the compiler makes: a library that can be written, and how much of the network runs in integers."""

    @property
    def coverage(self) -> Any: ...  # noqa: D102

    @property
    def kernels(self) -> Sequence[Any]: ...  # noqa: D102

    @property
    def choices(self) -> Mapping[str, Any]: ...  # noqa: D102

    @property
    def figures(self) -> Sequence[Any]: ...  # noqa: D102

    @property
    def tuned(self) -> TunedCoverage: ...  # noqa: D102

    def workspace(self, height: int, width: int) -> int: ...  # noqa: D102

    def line_buffers(self, width: int) -> int: ...  # noqa: D102

    def export(self, path: Path, linker: Linker | None) -> object: ...  # noqa: D102


class Quantize(Protocol):  # noqa: D101
    def __call__(self, sr: SRModel, images: Sequence[Pixels], settings: Settings | None) -> QuantizedModel: ...  # noqa: D102


class Normalize(Protocol):  # noqa: D101
    def __call__(self, model: onnx.ModelProto, *, value_range: str | None) -> SRModel: ...  # noqa: D102


@dataclass(frozen=True)
class Stages:
    """One function a stage.

    Attributes:
        load: an ONNX file, checked.
        is_quantized: whether a model is QDQ already.
        normalize: to the small set of operators, with what was found.
        quantize: with photographs, to canonical QDQ.
        canonicalize: another tool's QDQ model to canonical QDQ.
        compile: to a library, with the tiles that tuning found.
        compile_layers: the same, as a library that runs layer by layer: its kernels can be timed one by one.
        compile_float: a float model to a library of this precision.
        reference: the integer reference of a QDQ model.
        float_reference: a float model of this value range in onnxruntime.
        run: a library file as a function on pixels; (path, channels, scale).
    """

    load: Callable[[Path], onnx.ModelProto]
    is_quantized: Callable[[onnx.ModelProto], bool]
    normalize: Normalize
    quantize: Quantize
    canonicalize: Callable[[onnx.ModelProto], QuantizedModel]
    compile: Callable[[QuantizedModel, Target, Tuning], Compiled]
    compile_layers: Callable[[QuantizedModel, Target, Tuning], Compiled]
    compile_float: Callable[[SRModel, Target, str], Compiled]
    reference: Callable[[onnx.ModelProto], Upscale]
    float_reference: Callable[[onnx.ModelProto, tuple[float, float]], Upscale]
    run: Callable[[Path, int, int], Upscale]


def real_stages() -> Stages:
    """The stages of this toolchain; imports them, but not yet TVM."""
    from toolchain.frontend import is_quantized, load_model, normalize
    from toolchain.quantize import IntegerReference, quantize
    from toolchain.workflows.evaluate import float_upscale

    def canonicalize(model: onnx.ModelProto) -> QuantizedModel:
        from toolchain.quantize.foreign import canonicalize as read

        return read(model)

    def compile_model(model: QuantizedModel, target: Target, tuning: Tuning) -> Compiled:
        from toolchain.backends.cpu.build import compile_model as build
        from toolchain.backends.opencl.build import compile_opencl

        if target.gpu is not None:
            return compile_opencl(model, target.gpu, tuning)
        compiled: Compiled = build(model, target, tuning)
        return compiled

    def compile_layers(model: QuantizedModel, target: Target, tuning: Tuning) -> Compiled:
        from toolchain.backends.cpu.build import compile_model as build
        from toolchain.lower import lower_layers

        if target.gpu is not None:    # which runs one kernel after the other anyway
            return compile_model(model, target, tuning)
        compiled: Compiled = build(model, target, tuning, lower_layers)
        return compiled

    def compile_float(model: SRModel, target: Target, precision: str) -> Compiled:
        from toolchain.backends.cpu.float_build import compile_float_model
        from toolchain.backends.opencl.build import compile_opencl_floats

        if target.gpu is not None:
            return compile_opencl_floats(model, target, target.gpu, precision)
        compiled: Compiled = compile_float_model(model, target, precision)
        return compiled

    def run(library: Path, channels: int, scale: int) -> Upscale:
        if library.suffix == ".json":
            from toolchain.runtime.opencl.files import load_runner

            return load_runner(library, "opencl-cpu").upscale
        from toolchain.runtime.runner import Runner

        return Runner(library, channels=channels, scale=scale).upscale

    return Stages(
        load=load_model,
        is_quantized=is_quantized,
        normalize=normalize,
        quantize=quantize,
        canonicalize=canonicalize,
        compile=compile_model,
        compile_layers=compile_layers,
        compile_float=compile_float,
        reference=lambda model: IntegerReference(model).run,
        float_reference=float_upscale,
        run=run,
    )
