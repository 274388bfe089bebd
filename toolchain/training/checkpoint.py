"""Training state on disk: plain NumPy arrays in one ``.npz``, written whole or not at all. Nothing is unpickled."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from toolchain.support.errors import InputError
from toolchain.support.files import atomic_write


class Remembering(Protocol):
    """An optimizer whose state is named tensors."""

    def state(self) -> dict[str, torch.Tensor]:
        """Return moments and step counts."""
        ...

    def restore(self, named: Mapping[str, torch.Tensor]) -> None:
        """Take over what `state` gave; ValueError where that is none of its own."""
        ...


def save(path: Path, *, nets: Mapping[str, nn.Module], optimizer: Remembering, progress: dict[str, Any]) -> None:
    """Write the networks' weights, moments and ``progress`` (JSON data: step, losses, random state).

    Raises:
        OutputError: the file cannot be written; the previous one is still there.
    """
    arrays: dict[str, np.ndarray] = {"progress": np.frombuffer(json.dumps(progress).encode(), np.uint8)}
    states = {**{name: net.state_dict() for name, net in nets.items()}, "optimizer": optimizer.state()}
    for prefix, state in states.items():
        arrays |= {f"{prefix}/{name}": value.cpu().numpy() for name, value in state.items()}
    with atomic_write(path) as file:
        np.savez(file, allow_pickle=False, **arrays)


def load(path: Path, *, nets: Mapping[str, nn.Module], optimizer: Remembering) -> dict[str, Any]:
    """Restore what `save` wrote and return its ``progress``.

    Raises:
        InputError: the file is damaged, or it belongs to another network.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        for prefix, module in nets.items():
            module.load_state_dict(_under(prefix, arrays))
        optimizer.restore(_under("optimizer", arrays))
        progress: dict[str, Any] = json.loads(arrays["progress"].tobytes())
    except (KeyError, ValueError, RuntimeError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path} is not a checkpoint of this network: {str(error).splitlines()[0]}",
            hint="delete it to start over, or write elsewhere",
        ) from error
    return progress


def _under(prefix: str, arrays: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {
        name.removeprefix(f"{prefix}/"): torch.from_numpy(value)
        for name, value in arrays.items()
        if name.startswith(f"{prefix}/")
    }
