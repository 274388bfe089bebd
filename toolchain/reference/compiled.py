"""The exact convolution again, some ten times faster: onnxruntime's float32 convolution where that is exact.

No product and no partial sum of integers leaves what float32 represents, in whatever order they are added, as long as
the sum of all magnitudes is below 2**24; see `Convolution.bands`, which stays the definition.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from toolchain.frontend.session import FloatSession
from toolchain.reference.convolution import Convolution
from toolchain.reference.quantization import CodeArray

_EXACT = 2**24


@dataclass(frozen=True, eq=False)
class CompiledConvolution(Convolution):
    """A convolution whose accumulators onnxruntime computes where float32 is exact; NumPy does elsewhere."""

    session: FloatSession | None = None

    def bands(self, codes: CodeArray, zero_point: int) -> Iterator[tuple[slice, NDArray[np.int32]]]:
        """Yield (rows, accumulators int32 (O, rows, W)), all rows at once, of ``codes`` (I, h, w)."""
        if self.session is None or self.bound(zero_point, int(np.iinfo(codes.dtype).max)) >= _EXACT:
            yield from super().bands(codes, zero_point)
            return
        centred = np.subtract(codes, zero_point, dtype=np.float32)
        (sums,) = self.session.run(None, centred[None])
        yield slice(0, sums.shape[2]), sums[0].astype(np.int32) + self.bias[:, None, None]


def compiled(convolution: Convolution) -> CompiledConvolution:
    """Return ``convolution`` with onnxruntime behind it; equal in every bit."""
    kind, more = "Conv", {}
    if convolution.transposed:
        kind, more = "ConvTranspose", {"output_padding": list(convolution.output_padding)}
    node = helper.make_node(
        kind,
        ["codes", "weight"],
        ["sums"],
        kernel_shape=list(convolution.weight.shape[2:]),
        strides=list(convolution.strides),
        pads=list(convolution.pads),
        dilations=list(convolution.dilations),
        group=convolution.group,
        **more,
    )
    ends = [
        helper.make_tensor_value_info("codes", TensorProto.FLOAT, [1, None, None, None]),
        helper.make_tensor_value_info("sums", TensorProto.FLOAT, [1, None, None, None]),
    ]
    weight = numpy_helper.from_array(convolution.weight.astype(np.float32), "weight")
    graph = helper.make_graph([node], "convolution", ends[:1], ends[1:], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    values = {field.name: getattr(convolution, field.name) for field in fields(Convolution)}
    return CompiledConvolution(**values, session=FloatSession(model))
