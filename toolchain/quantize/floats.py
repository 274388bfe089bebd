"""The float network, run by onnxruntime: the yardstick of calibration."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from toolchain.frontend.session import FloatSession
from toolchain.frontend.unit import unit_of
from toolchain.images.units import cropped, extended
from toolchain.support.parallel import in_order


class FloatModel:
    """A float ONNX model with chosen inner tensors as extra outputs."""

    def __init__(self, model: onnx.ModelProto, tensors: Sequence[str] = ()) -> None:
        """Prepare ``model`` to give its output and ``tensors``."""
        copy = onnx.ModelProto()
        copy.CopyFrom(model)
        self.output: str = copy.graph.output[0].name
        self.input: str = copy.graph.input[0].name
        self._unit = unit_of(model)
        self.tensors = tuple(dict.fromkeys([self.output, *tensors]))
        for name in self.tensors:
            if name not in (self.output, self.input):
                copy.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
        # Spinning threads only slow down whoever shares the machine; results do not depend on the number of threads.
        # Q and DQ nodes are to round, not to become integer kernels.
        entries = {"session.intra_op.allow_spinning": "0", "session.disable_quant_qdq": "1"}
        self._session = FloatSession(copy, entries=entries)

    def run(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the output, (1, C, h * scale, w * scale), for ``values`` (1, C, h, w)."""
        result: NDArray[np.float32] = self._session.run([self.output], extended(values, self._unit, (2, 3)))[0]
        return self._cropped(result, values)

    def run_all(self, values: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Return the output and every chosen tensor, by name; where the network takes multiples of a unit, inner ones
        of the picture `extended` to them.
        """
        names = [name for name in self.tensors if name != self.input]
        given = extended(values, self._unit, (2, 3))
        found = dict(zip(names, self._session.run(names, given), strict=True))
        if self.input in self.tensors:
            found[self.input] = given
        return found

    def _cropped(self, result: NDArray[np.float32], values: NDArray[np.float32]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = cropped(result, values.shape[2:], self._unit, (2, 3))
        return found

    def stream(self, feeds: Iterable[NDArray[np.float32]]) -> Iterator[dict[str, NDArray[np.float32]]]:
        """Yield what ``run_all`` gives for each of ``feeds``; the next one is computed meanwhile, and no more: the
        tensors of one crop may take hundreds of megabytes.
        """
        return in_order(self.run_all, feeds, ahead=1)


def to_float(pixels: NDArray[np.uint8], value_range: tuple[float, float]) -> NDArray[np.float32]:
    """Return pixels u8 (h, w, C) as the float32 (1, C, h, w) that the network takes."""
    step = np.float32((value_range[1] - value_range[0]) / 255)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None]).astype(np.float32) * step


def to_pixels(values: NDArray[np.floating[Any]], value_range: tuple[float, float]) -> NDArray[np.uint8]:
    """Return a network's output (1, C, h, w) as pixels u8 (h, w, C), rounded half to even and saturated."""
    low, high = value_range
    planes = values[0].transpose(1, 2, 0)
    pixels: NDArray[np.uint8] = np.clip(np.rint((planes - low) * (255 / (high - low))), 0, 255).astype(np.uint8)
    return pixels
