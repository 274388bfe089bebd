"""From a trained PyTorch network to ONNX (opset 17, dynamic height and width) and a card that says how it was made."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

from toolchain.support.files import atomic_write
from toolchain.zoo.nets.norms import plain_norms


def write_onnx(net: nn.Module, path: Path) -> Path:
    """Write ``net``, in its evaluation form, to ``path``; returns the path.

    The graph takes ``input`` (1, c, h, w) and gives ``output`` (1, c, h*scale, w*scale), float32 in 0..1.
    """
    net = plain_norms(net).cpu().eval()
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The graph-tracing exporter is deprecated, but the new one needs another package and writes opset 18 or later.
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        sizes = {"input": {2: "height", 3: "width"}, "output": {2: "out_height", 3: "out_width"}}
        torch.onnx.export(
            net,
            (torch.zeros(1, int(net.channels), 24, 24),),
            buffer,
            input_names=["input"],
            output_names=["output"],
            opset_version=17,
            dynamo=False,
            dynamic_axes=sizes,
            # In evaluation form torch would merge batch normalization here already: that is the deployment's work.
            training=torch.onnx.TrainingMode.PRESERVE,
        )
    with atomic_write(path) as file:
        file.write(buffer.getvalue())
    return path


def write_card(model: Path, card: dict[str, Any]) -> Path:
    """Write the card of an exported model beside it: its name, its SHA-256, and how it was made."""
    path = model.with_suffix(".json")
    full = {"name": model.stem, "sha256": hashlib.sha256(model.read_bytes()).hexdigest(), "torch": torch.__version__}
    with atomic_write(path) as file:
        file.write((json.dumps(full | card, indent=2) + "\n").encode())
    return path
