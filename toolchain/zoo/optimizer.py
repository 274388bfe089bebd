"""Muon for the convolutions, Adam for what is no matrix.

Muon (K. Jordan, https://kellerjordan.github.io/posts/muon, 2024) orthogonalizes the momentum of every weight matrix.
On these narrow networks it reaches in 2,000 steps what Adam needs 20,000 for. The decay keeps features small: without
it an ECBSR, whose branches add up, grew such large ones, to be subtracted again, that INT8 lost 1.5 dB instead of 0.02.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from toolchain.training.state import named_state, restore_state


class Optimizer:
    """Both optimizers as one: a convolution's weights are the matrix (outputs, inputs * height * width).

    Args:
        net: the network; its convolutions' weights must be contiguous.
        matrix_rate: Muon's step size.
        vector_rate: Adam's step size, for biases, slopes and scales.
        decay: share of a matrix that goes at every step, times the step size.
    """

    def __init__(self, net: nn.Module, *, matrix_rate: float, vector_rate: float, decay: float) -> None:
        self._weights = [p for p in net.parameters() if p.ndim == 4]
        # torch's Muon takes matrices only; these share their memory with the weights.
        self._matrices = [nn.Parameter(weight.detach().view(weight.shape[0], -1)) for weight in self._weights]
        self._others = [p for p in net.parameters() if p.ndim != 4]
        self._parts: list[tuple[torch.optim.Optimizer, float]] = [
            (torch.optim.Muon(self._matrices, lr=matrix_rate, weight_decay=decay), matrix_rate),
            (torch.optim.Adam(self._others, lr=vector_rate), vector_rate),
        ]

    def step(self, share: float) -> None:
        """Follow the gradients with ``share`` of the full step sizes, then clear them."""
        for matrix, weight in zip(self._matrices, self._weights, strict=True):
            if weight.grad is not None:
                matrix.grad = weight.grad.reshape(matrix.shape)
        for part, rate in self._parts:
            for group in part.param_groups:
                group["lr"] = rate * share
            part.step()
        for parameter in [*self._matrices, *self._weights, *self._others]:
            parameter.grad = None

    def state(self) -> dict[str, torch.Tensor]:
        """Moments and step counts, as named tensors."""
        return named_state([part for part, _ in self._parts])

    def restore(self, named: Mapping[str, torch.Tensor]) -> None:
        """Take over what `state` gave.

        Raises:
            ValueError: the names are not such a state's.
        """
        restore_state([part for part, _ in self._parts], named)
