"""Training state on disk: plain NumPy arrays in one ``.npz``, written whole or not at all. Nothing is unpickled."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from toolchain.support.errors import InputError
from toolchain.support.files import atomic_write
from toolchain.zoo.optimizer import Optimizer


def save(path: Path, *, net: nn.Module, average: nn.Module, optimizer: Optimizer, progress: dict[str, Any]) -> None:
    """Write weights, averaged weights, moments and ``progress`` (JSON data: step, losses, random state).

    Raises:
        OutputError: the file cannot be written; the previous one is still there.
    """
    arrays: dict[str, np.ndarray] = {"progress": np.frombuffer(json.dumps(progress).encode(), np.uint8)}
    states = {"net": net.state_dict(), "average": average.state_dict(), "optimizer": optimizer.state()}
    for prefix, state in states.items():
        arrays |= {f"{prefix}/{name}": value.cpu().numpy() for name, value in state.items()}
    with atomic_write(path) as file:
        np.savez(file, allow_pickle=False, **arrays)


def load(path: Path, *, net: nn.Module, average: nn.Module, optimizer: Optimizer) -> dict[str, Any]:
    """Restore what `save` wrote and return its ``progress``.

    Raises:
        InputError: the file is damaged, or it belongs to another network.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        for prefix, module in (("net", net), ("average", average)):
            module.load_state_dict(_under(prefix, arrays))
        optimizer.restore(_under("optimizer", arrays))
        progress: dict[str, Any] = json.loads(arrays["progress"].tobytes())
    except (KeyError, ValueError, RuntimeError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path} is not a checkpoint of this network: {str(error).splitlines()[0]}",
            hint="train into another folder, or delete the checkpoint to start over",
        ) from error
    return progress


def _under(prefix: str, arrays: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {
        name.removeprefix(f"{prefix}/"): torch.from_numpy(value)
        for name, value in arrays.items()
        if name.startswith(f"{prefix}/")
    }
