"""Turn a lowered network into one function that streams the picture through its kernels in bands of rows."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from tvm import relax
from tvm.ir import IRModule

from toolchain.kernels import driver
from toolchain.kernels.driver import times
from toolchain.kernels.network import Needs, Picture, Stream
from toolchain.lower.calls import scalars
from toolchain.lower.lowered import Lowered, Spec
from toolchain.targets import CACHE

ENTRY = "stream"
"""Name of the function."""


def stream(lowered: Lowered[Spec], cache: int = CACHE) -> Lowered[Spec]:
    """``lowered`` with a ``main`` of one call, see `toolchain.kernels.driver.stream`, if it can be streamed: if all of
    it is kernels on rows. Else it is returned as it is. ``cache``: bytes of line buffers of a thread.
    """
    network = lowered.network
    if network is None or lowered.whole:
        return lowered
    module, geometry = lowered.module, lowered.geometry
    given = module["main"].params[0]
    height, width, channels = given.ty.shape
    last = network.launches[-1]
    picture = last.result
    assert isinstance(picture, Picture)
    rows, columns = (times(side, Fraction(last.scale * picture.scale)) for side in (height, width))
    made = relax.TensorType((rows, columns, picture.channels), "uint8")
    plan = Stream(
        tuple(launch.call for launch in network.launches),
        network.tensors,
        Picture(int(channels)),
        picture,
        geometry,
        cache,
        Needs.all(kernel.needs.at(kernel.scale) for kernel in lowered.kernels),
    )
    kernels = {module.get_global_var(call.kernel): module[call.kernel] for call in plan.calls}
    builder = relax.BlockBuilder(IRModule(kernels))
    pixels = relax.Var("pixels", given.ty)
    constants = [relax.const(array, str(array.dtype)) for launch in network.launches for array in launch.constants]
    with builder.function("main", [pixels]):
        with builder.dataflow():
            symbol = builder.add_func(driver.stream(plan).with_attr("global_symbol", ENTRY), ENTRY)
            arguments = relax.Tuple([pixels, *constants, *scalars(geometry, (height, width))])
            result = builder.emit_output(relax.call_tir(symbol, arguments, made))
        builder.emit_func_output(result)
    return replace(lowered, module=builder.finalize(), stream=plan)
