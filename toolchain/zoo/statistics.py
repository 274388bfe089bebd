"""The running statistics of batch normalization, taken anew for averaged weights."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import nn


def recalibrate(net: nn.Module, batches: Iterator[tuple[np.ndarray, np.ndarray]], count: int = 64) -> None:
    """Replace the running statistics of every batch normalization by the mean over ``count`` of the ``batches``.

    Those of the training belong to weights on their way; the averaged weights were never run. A network without batch
    normalization is left as it is, and no batch is taken.
    """
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    if not norms:
        return
    kept = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean of all, not a moving one
    training = net.training
    net.train()
    device = next(net.parameters()).device
    with torch.no_grad():
        for _ in range(count):
            net(torch.from_numpy(next(batches)[0]).to(device, memory_format=torch.channels_last))
    net.train(training)
    for norm, momentum in zip(norms, kept, strict=True):
        norm.momentum = momentum
