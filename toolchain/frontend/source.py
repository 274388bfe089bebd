"""The model as it came, ready to run: what a normalized one is held against."""

from __future__ import annotations

import numpy as np
import onnx

from toolchain.frontend.graph import Array
from toolchain.frontend.interface import Interface
from toolchain.frontend.session import FloatSession
from toolchain.support.errors import ModelError

NUMBERS = {"tensor(float16)": np.float16, "tensor(double)": np.float64, "tensor(uint8)": np.uint8}
"""NumPy's types of onnxruntime's, where they are not float32."""


class ModelSource:
    """A model and its ends.

    Attributes:
        interface: of the model.
    """

    def __init__(self, model: onnx.ModelProto, interface: Interface) -> None:
        """Copy ``model``, whose picture's size is freed, and try it on a small picture if it takes any.

        Raises:
            ModelError: it cannot be executed.
        """
        self.interface = interface
        self._session = FloatSession(model, threads=1, basic=True)
        if interface.fixed and not interface.freed:
            return  # tried later, on a picture of its own size
        try:
            self.run(np.zeros(interface.shape, np.float32))
        except ModelError as error:
            if not interface.freed:
                raise
            height, width = interface.declared
            raise ModelError(
                f"the model's picture is fixed to {height}x{width}, which is too large to be tried; of "
                f"another size, {error.message}",
                hint="export it with free height and width",
            ) from error

    def run(self, picture: Array) -> Array:
        """Return the output, float32, for a picture of ``interface.shape`` in float32; batches are filled with copies.

        Raises:
            ModelError: it cannot be executed.
        """
        wanted = NUMBERS.get(self._session.dtype, np.float32)
        batch = np.repeat(picture.astype(wanted), self.interface.batch, axis=0)
        (result, *_) = self._session.run(None, batch)
        return np.asarray(result[:1] if self.interface.batch > 1 else result, np.float32)
