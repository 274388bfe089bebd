"""onnxruntime, quiet, and with refusals in our words: everybody who runs a float model does it through here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import onnx

from toolchain.frontend.explain import refusal
from toolchain.frontend.graph import Array

_SILENT = 4


class FloatSession:
    """A float model ready to run.

    Attributes:
        input: the name of its input.
        dtype: onnxruntime's name of the input's type, such as "tensor(float)".
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        *,
        threads: int | None = None,
        basic: bool = False,
        entries: Mapping[str, str] | None = None,
    ) -> None:
        """Load ``model``.

        Args:
            model: any that onnxruntime knows.
            threads: to use; None for all.
            basic: take only the safest optimizations.
            entries: of onnxruntime's session configuration.

        Raises:
            ModelError: onnxruntime does not accept the model.
        """
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.log_severity_level = _SILENT
        if threads is not None:
            options.intra_op_num_threads = threads
        if basic:
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        for key, value in (entries or {}).items():
            options.add_session_config_entry(key, value)
        try:
            self._session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's exceptions share no base class but Exception
            raise refusal("the model cannot be executed", error) from error
        source = self._session.get_inputs()[0]
        self.input, self.dtype = str(source.name), str(source.type)

    def run(self, outputs: Sequence[str] | None, values: Array) -> list[Array]:
        """Return the named outputs (all of them if None) for one input.

        Raises:
            ModelError: onnxruntime cannot run the model on it.
        """
        try:
            found: list[Any] = self._session.run(outputs, {self.input: values})
        except Exception as error:  # as above
            size = "x".join(map(str, values.shape))
            raise refusal(f"the model cannot be executed on an input of {size}", error) from error
        return found
