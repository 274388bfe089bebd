"""From PyTorch to ONNX, in the process that may import PyTorch: exported programs, and networks known by their weights.

Nothing here runs a file's own code: programs were vetted (`archive`), weights are read as tensors only, and the
networks that they belong to are those of the package `spandrel`.
"""

from __future__ import annotations

import io
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import nn

from toolchain.support.errors import ModelError

_SIZE, _OTHER = (64, 96), (80, 72)
"""Height and width that a network is exported with, and those that the export is tried on as well. Multiples of 8, for
networks that take no others."""

_SAME = 1e-3
"""Most that an export may differ from its network, as a part of the output's largest magnitude."""

_PAGE = "export the network from the code it was trained with: docs/pytorch.md has the ten lines that do"


def program_to_onnx(data: bytes) -> onnx.ModelProto:
    """Return the model of a vetted archive.

    Raises:
        ModelError: it is of another version, or holds what ONNX has no operator for.
    """
    try:
        program = torch.export.load(io.BytesIO(data))
    except Exception as error:  # PyTorch raises many kinds
        raise ModelError(
            f"was saved by another version of PyTorch than {torch.__version__}, which is here",
            hint="save it again with this one: docs/pytorch.md has the lines that do",
        ) from error
    try:
        return _converted(program)
    except Exception as error:  # as above
        raise ModelError("holds what PyTorch does not export to ONNX", hint=_reason(error)) from error


def weights_to_onnx(path: Path, *, safetensors: bool) -> onnx.ModelProto:
    """Return the model of the network that spandrel takes a file's weights for: input and output 0..1.

    Raises:
        ModelError: the file holds more than tensors, or those of no network known; or it cannot be exported.
    """
    try:
        from spandrel import ImageModelDescriptor, ModelLoader
        from spandrel.__helpers.canonicalize import canonicalize_state_dict
    except Exception as error:  # torchvision raises RuntimeError where it does not fit
        raise ModelError(
            "cannot be read: the package spandrel does not start here",
            hint="it needs PyTorch and torchvision of one release: pip install 'clipfree[spandrel]'",
        ) from error
    found = canonicalize_state_dict(_tensors(path, safetensors=safetensors))
    try:
        known = ModelLoader().load_from_state_dict(found)
    except Exception as error:  # spandrel's own, and what PyTorch raises on weights that do not fit
        raise ModelError("holds weights of a network that spandrel does not know", hint=_PAGE) from error
    if not isinstance(known, ImageModelDescriptor):
        raise ModelError(
            f"holds a network ({known.architecture.name}) that takes more than a picture",
            hint="networks that make pictures of pictures can be deployed",
        )
    return _exported(_Known(known).eval(), known.input_channels, str(known.architecture.name))


class _Known(nn.Module):
    """A network as spandrel calls it: whatever it gives, one picture in 0..1 comes out."""

    def __init__(self, known: Any) -> None:
        super().__init__()
        self.network = known.model.float().cpu().eval()
        self._call = known._call_fn

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        return torch.clamp(self._call(self.network, picture), 0.0, 1.0)


def _tensors(path: Path, *, safetensors: bool) -> dict[str, Any]:
    try:
        if safetensors:
            from safetensors.torch import load_file

            found: Any = load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError("holds Python objects beside its weights, which are not loaded", hint=_PAGE) from error
    except Exception as error:  # of damaged files, many kinds
        raise ModelError("is damaged", hint="save or download it again") from error
    if not isinstance(found, dict) or not found:
        raise ModelError("holds no weights by their names", hint=_PAGE)
    return found


def _exported(network: nn.Module, channels: int, name: str) -> onnx.ModelProto:
    """Return the first export of those we know that does what the network does."""
    obstacle: Exception | None = None
    for attempt in (_by_program, _by_trace, _by_program_of_one_size):
        picture = torch.rand(1, channels, *_SIZE)
        try:
            with torch.no_grad():
                model = attempt(network, picture)
                if _alike(model, network, channels):
                    return model
        except Exception as error:  # PyTorch raises many kinds
            obstacle = obstacle or error
    raise ModelError(f"holds a network ({name}) that PyTorch does not export to ONNX", hint=_reason(obstacle))


def _by_program(network: nn.Module, picture: torch.Tensor) -> onnx.ModelProto:
    sides = {2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}
    return _converted(torch.export.export(network, (picture,), dynamic_shapes=(sides,)))


def _by_program_of_one_size(network: nn.Module, picture: torch.Tensor) -> onnx.ModelProto:
    return _converted(torch.export.export(network, (picture,)))


def _by_trace(network: nn.Module, picture: torch.Tensor) -> onnx.ModelProto:
    """Export by the older exporter, which follows a network that changes itself while it runs."""
    buffer = io.BytesIO()
    sides = {2: "height", 3: "width"}
    torch.onnx.export(
        network,
        (picture,),
        buffer,
        input_names=["picture"],
        dynamo=False,
        opset_version=17,
        dynamic_axes={"picture": sides},
    )
    return onnx.load_model_from_string(buffer.getvalue())


def _converted(program: Any) -> onnx.ModelProto:
    model: onnx.ModelProto = torch.onnx.export(program, dynamo=True, verbose=False).model_proto
    return model


def _alike(model: onnx.ModelProto, network: nn.Module, channels: int) -> bool:
    """Whether the export gives what the network gives: on two sizes, unless it is of one."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    source = session.get_inputs()[0]
    free = not all(isinstance(side, int) for side in source.shape[2:])
    for size in (_SIZE, _OTHER) if free else (_SIZE,):
        picture = torch.rand(1, channels, *size)
        want = network(picture.clone()).numpy()  # some change their picture in place
        (got, *_) = session.run(None, {source.name: picture.numpy()})
        if want.shape != got.shape or not np.abs(want - got).max() <= _SAME * max(np.abs(want).max(), 1e-6):
            return False
    return True


def _reason(error: Exception | None) -> str:
    """Return what to do about a failed export: naming the operator that is at fault, where the exception does."""
    found = re.search(r"aten(?:\.|::)(\w+)", str(error))
    return f"ONNX has nothing for its operator {found[1]}" if found else _PAGE
