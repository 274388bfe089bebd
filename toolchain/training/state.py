"""What PyTorch's optimizers remember, as named tensors."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch


def named_state(parts: Sequence[torch.optim.Optimizer]) -> dict[str, torch.Tensor]:
    """Return the moments and step counts of several optimizers."""
    named: dict[str, torch.Tensor] = {}
    for index, part in enumerate(parts):
        for parameter, values in part.state_dict()["state"].items():
            named |= {f"{index}/{parameter}/{name}": torch.as_tensor(value) for name, value in values.items()}
    return named


def restore_state(parts: Sequence[torch.optim.Optimizer], named: Mapping[str, torch.Tensor]) -> None:
    """Take over what `named_state` gave.

    Raises:
        ValueError: the names are not such a state's.
    """
    states: list[dict[int, dict[str, Any]]] = [{} for _ in parts]
    for key, value in named.items():
        index, parameter, name = key.split("/")
        states[int(index)].setdefault(int(parameter), {})[name] = value
    for part, state in zip(parts, states, strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            part.load_state_dict({"state": state, "param_groups": part.state_dict()["param_groups"]})
