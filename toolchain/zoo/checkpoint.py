"""Training state on disk: plain NumPy arrays in one ``.npz``, written whole or not at all. Nothing is unpickled."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from toolchain.atomic import atomic_write
from toolchain.errors import InputError


def save(path: Path, *, net: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer,
         progress: dict[str, Any]) -> None:
    """Write weights, averaged weights, Adam's moments and ``progress`` (JSON data: step, losses, random state)."""
    arrays: dict[str, np.ndarray] = {"progress": np.frombuffer(json.dumps(progress).encode(), np.uint8)}
    for prefix, module in (("net", net), ("average", average)):
        arrays |= {f"{prefix}/{name}": value.cpu().numpy() for name, value in module.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        arrays |= {f"adam/{index}/{name}": np.asarray(value.cpu()) for name, value in state.items()}
    with atomic_write(path) as file:
        np.savez(file, allow_pickle=False, **arrays)


def load(path: Path, *, net: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Restore what `save` wrote and return its ``progress``.

    Raises:
        InputError: the file is damaged, or it belongs to another network.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        for prefix, module in (("net", net), ("average", average)):
            module.load_state_dict({name: torch.from_numpy(arrays[f"{prefix}/{name}"]) for name in module.state_dict()})
        state: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in arrays.items():
            if key.startswith("adam/"):
                _, index, name = key.split("/")
                state.setdefault(int(index), {})[name] = torch.from_numpy(value)
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
        progress: dict[str, Any] = json.loads(arrays["progress"].tobytes())
    except (KeyError, ValueError, RuntimeError, OSError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path} is not a checkpoint of this network: {str(error).splitlines()[0]}",
            hint="train into another folder, or delete the checkpoint to start over",
        ) from error
    return progress
