"""From a normalized float model to a compiled library: the baseline beside `toolchain.backends.cpu.build`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolchain.backends.cpu.build import Compiled, finished
from toolchain.backends.script import SUFFIX, script
from toolchain.kernels.float_tile import choose_tile
from toolchain.kernels.vectors import vectors_for
from toolchain.lower import import_qdq
from toolchain.lower.float_lowering import lower_float_model
from toolchain.schedules.coverage import TunedCoverage
from toolchain.support.dump import Dump, no_dump

if TYPE_CHECKING:
    from toolchain.frontend import SRModel
    from toolchain.targets import Target


def compile_float_model(
    model: SRModel, target: Target, precision: str = "float32", *, dump: Dump = no_dump
) -> Compiled:
    """Compile a float model for ``target``.

    Raises:
        ModelError: the model has a structure that cannot be lowered.
        TargetError: there are no kernels of this precision for the target.
    """
    vectors = vectors_for(target, precision)
    dump("import", SUFFIX, lambda: script(import_qdq(model.model)))
    lowered = lower_float_model(model, vectors, target.cache)
    dump("lower", SUFFIX, lambda: script(lowered.module))
    tiles = {kernel.name: choose_tile(kernel.conv, vectors) for kernel in lowered.kernels}
    macs = sum(kernel.macs for kernel in lowered.kernels)
    return finished(lowered, lowered.module, target, tiles, TunedCoverage(len(tiles), 0, macs, 0), dump)
