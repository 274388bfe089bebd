"""Batch normalization whose gain is bounded: OABN (arXiv 2402.07200), in our reading."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn import functional


class OutlierAwareNorm(nn.BatchNorm2d):
    """Batch normalization with the gain ``a = gamma / sqrt(var + eps + gamma^2 * floor)``, a floor for each channel.

    With ``floor = 1/A^2`` the gain stays below A whatever gamma becomes, is gamma / sigma where that is small, and
    never loses its gradient, as a clamped one does. A stands still for the gradient. Running statistics go
    through the same formula, so that `plain_norms` makes an ordinary BatchNormalization of it, exactly.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.register_buffer("floor", torch.zeros(channels))

    def bounded(self, variance: torch.Tensor) -> torch.Tensor:
        """Return the variance (channels,) that plain batch normalization needs for the same gain."""
        floor: torch.Tensor = self.get_buffer("floor")
        return variance + self.weight * self.weight * floor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, channels, h, w) to the same."""
        assert self.running_mean is not None
        assert self.running_var is not None
        # Plain batch normalization with a smaller gamma: torch's own is several times faster than one written out.
        kept = 0.0
        variance = self.running_var
        if self.training:
            assert self.num_batches_tracked is not None
            self.num_batches_tracked.add_(1)
            kept = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
            with torch.no_grad():  # inside the bound the variance stands still for the gradient, as A does
                flat = x.permute(0, 2, 3, 1).reshape(-1, self.num_features)
                variance = ((flat * flat).mean(0) - flat.mean(0) ** 2).clamp_(min=0.0)
        weight = self.weight * torch.sqrt((variance + self.eps) / (self.bounded(variance) + self.eps))
        return functional.batch_norm(
            x, self.running_mean, self.running_var, weight, self.bias, self.training, kept, self.eps
        )

    def as_plain(self) -> nn.BatchNorm2d:
        """Return an ordinary batch normalization that does the same in evaluation."""
        plain = nn.BatchNorm2d(self.num_features, eps=self.eps)
        with torch.no_grad():
            for name in ("weight", "bias", "running_mean"):
                getattr(plain, name).copy_(getattr(self, name))
            assert self.running_var is not None
            assert plain.running_var is not None
            plain.running_var.copy_(self.bounded(self.running_var))
        return plain.train(self.training)


def plain_norms(net: nn.Module) -> nn.Module:
    """Return a copy of ``net`` without OutlierAwareNorm, equal to it in evaluation."""
    net = copy.deepcopy(net)
    for module in list(net.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, OutlierAwareNorm):
                setattr(module, name, child.as_plain())
    return net


def gain_and_shift(norm: nn.BatchNorm2d) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what a normalization in evaluation multiplies by and then adds, each (channels,)."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    variance = norm.bounded(norm.running_var) if isinstance(norm, OutlierAwareNorm) else norm.running_var
    gain = norm.weight * torch.rsqrt(variance + norm.eps)
    return gain, norm.bias - norm.running_mean * gain
