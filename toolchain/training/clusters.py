"""Weights in clusters: places in a codebook, and the codebook itself, are learnt. ClusterQAT (arXiv 2402.07200), in our
reading.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from toolchain.quantize.code_set import CodeSet
from toolchain.training.codes import LatentCodes, Learn, Site
from toolchain.training.straight_through import rounded, saturated

_SOFT, _HARD = 0.5, 50.0  # slopes of the choice between two entries


class ClusteredCodes(nn.Module):
    """Weights each of which becomes one of the two entries of a codebook that it lies between; the book is learnt too.

    While they are soft, in training mode, the choice is a share of both entries, as in DKM (Cho et al., arXiv
    2108.12659): at first the weight itself, then a steeper and steeper step in the middle; see `harden`. Hard, each is
    the nearest entry, the weights stand still, and an entry has the sum of its members' gradients (Deep Compression,
    Han et al., arXiv 1510.00149). ``steps`` and ``book`` are float32 in mean distances between neighbouring entries, so
    that one step size suits books of any size.

    Args:
        site: of the convolution; its weights are places of the book.
        among: the codes that there are, with a fitted book.
    """

    def __init__(self, site: Site, among: CodeSet) -> None:
        super().__init__()
        book = np.array(among.book, np.float32)
        self._limit = float(among.limit)
        self._unit = float(book[-1] - book[0]) / max(len(book) - 1, 1) or 1.0
        self.steps = nn.Parameter(torch.from_numpy(site.convolution.weight.astype(np.float32)) / self._unit)
        self.book = nn.Parameter(torch.from_numpy(book) / self._unit)
        self.hardness = 0.0
        """0 to 1; of training mode."""

    def forward(self) -> Tensor:
        """Return the codes, float32."""
        if not self.training or self.hardness >= 1.0 or len(self.book) < 2:
            book = self._entries()
            return book[self._members(self.steps * self._unit, book)]
        book = saturated(self.book * self._unit, -self._limit, self._limit).sort().values
        weights = self.steps * self._unit
        with torch.no_grad():
            above = torch.bucketize(weights, book).clamp(1, len(book) - 1)
        low, high = book[above - 1], book[above]
        with torch.no_grad():
            gap = (high - low).clamp(min=1e-3)
        return low + (high - low) * self._step(((weights - low) / gap).clamp(0.0, 1.0))

    def _step(self, share: Tensor) -> Tensor:
        """Return 0 to 1 of 0 to 1, the steeper in the middle the harder."""
        slope = _SOFT * (_HARD / _SOFT) ** self.hardness
        end = float(1.0 / (1.0 + np.exp(slope / 2)))
        return (torch.sigmoid((share - 0.5) * slope) - end) / (1.0 - 2.0 * end)

    @torch.no_grad()
    def refresh(self) -> None:
        """Make each entry the mean of its members, as Lloyd's algorithm does; one without members stays."""
        book = self._entries()
        latent = (self.steps * self._unit).flatten()
        member = self._members(latent, book)
        count = torch.bincount(member, minlength=len(book))
        total = torch.bincount(member, latent, minlength=len(book))
        self.book.copy_(torch.where(count > 0, total / count.clamp(min=1), book) / self._unit)

    def _entries(self) -> Tensor:
        """Return the book's whole numbers in order."""
        entries: Tensor = saturated(rounded(self.book * self._unit), -self._limit, self._limit).sort().values
        return entries

    @staticmethod
    @torch.no_grad()
    def _members(weights: Tensor, book: Tensor) -> Tensor:
        return torch.bucketize(weights, (book[1:] + book[:-1]) / 2)


def clustered(among: Mapping[str, CodeSet]) -> Learn:
    """Return what learns the codebook of each layer that has one, and the nearest codes of the others."""

    def learn(site: Site) -> nn.Module:
        codes = among.get(site.name, CodeSet())
        return ClusteredCodes(site, codes) if codes.book else LatentCodes(site, codes)

    return learn


def refresh(net: nn.Module) -> None:
    """Make each entry of every codebook in a network the mean of its members."""
    for module in net.modules():
        if isinstance(module, ClusteredCodes):
            module.refresh()


def harden(net: nn.Module, done: float) -> None:
    """Make the choices in a network as hard as becomes the part of the training that is done, 0 to 1; they are made for
    the last fifth.
    """
    for module in net.modules():
        if isinstance(module, ClusteredCodes):
            module.hardness = min(done / 0.8, 1.0)
