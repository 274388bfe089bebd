"""What the codes of a convolution's weights are while they are learnt."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from toolchain.quantize.code_set import ALL, CodeSet
from toolchain.reference.convolution import Convolution
from toolchain.reference.quantization import Quantization
from toolchain.training.straight_through import replaced, rounded, saturated


@dataclass(frozen=True, eq=False)
class Site:
    """A convolution of a quantized network, as it was before anything was learnt.

    Attributes:
        name: of its weights in the recipe.
        output: the tensor that it writes.
        convolution: its geometry, int8 weights and int32 biases.
        scale: float32, of its weights as they are stored: one for all, for each channel, or for each of a group's.
        source, out: of what it reads and of its result.
    """

    name: str
    output: str
    convolution: Convolution
    scale: NDArray[np.float32]
    source: Quantization
    out: Quantization

    @property
    def axis(self) -> int:
        """Of the weights' outputs: (O, I, kh, kw), or (I, O, kh, kw) of a transposed convolution."""
        return int(self.convolution.transposed)


Learn: TypeAlias = Callable[[Site], nn.Module]
"""Makes what learns the codes of a convolution: a module that takes nothing and gives them, float32, in the layout of
its weights; in evaluation mode whole numbers that its weights may have.
"""


_SOFT, _HARD = 0.5, 50.0  # slopes of the choice between two codes
_ENTRIES = 0.5  # of a weight's step is an entry's: it moves by one where nearly all pieces say so
_COINCIDE = 1e-3  # entries as near as this are one


class LatentCodes(nn.Module):
    """The codes nearest to weights that are learnt straight through.

    ``steps`` are these weights, float32 in steps of their scales.

    Args:
        site: of the convolution.
        among: the codes that there are.
    """

    def __init__(self, site: Site, among: CodeSet = ALL) -> None:
        super().__init__()
        self._axis, self._among = site.axis, among
        self.steps = nn.Parameter(torch.from_numpy(site.convolution.weight.astype(np.float32)))

    def forward(self) -> Tensor:
        """Return the codes, float32."""
        largest = float(self._among.limit)
        return replaced(saturated(self.steps, -largest, largest), allowed(self.steps, self._among, self._axis))


class ChosenCodes(nn.Module):
    """Codes each of which is chosen anew among those next to it: softly at first, then ever harder.

    Between two codes the weight is a share of both: first the weight itself, then a steeper and steeper step in the
    middle, which keeps weights that need no change at their codes (a soft choice as of AdaRound, Nagel et al., arXiv
    2004.10568, by the steps of differentiable soft quantization, Gong et al., arXiv 1908.05033). ``steps`` are the
    weights, float32 in steps of their scales; ``hardness`` is 0 to 1, and at 1 they are rounded and stand still.
    Outliers, which few bits do not reach, stay what they are.

    A codebook may be learnt too (ClusterQAT, arXiv 2402.07200, in our reading): ``book`` are its entries, float32,
    rounded straight through. They stand still while choices are soft; when these are made, an entry has the sum of its
    members' gradients (Deep Compression, Han et al., arXiv 1510.00149).

    Args:
        site: of the convolution.
        among: the codes that there are; of a codebook, a fitted one.
        learnt: whether a codebook, where there is one, is learnt too.

    Attributes:
        spacing: from one code to the next, on the mean, before anything is learnt.
    """

    def __init__(self, site: Site, among: CodeSet = ALL, *, learnt: bool = False) -> None:
        super().__init__()
        self._axis, self._among, self._learnt = site.axis, among, learnt and bool(among.book)
        self.steps = nn.Parameter(torch.from_numpy(site.convolution.weight.astype(np.float32)))
        self.hardness = 0.0
        limit = among.limit
        book = torch.tensor(among.book or range(-limit, limit + 1), dtype=torch.float32)
        self.spacing = float(book[-1] - book[0]) / max(1, len(book) - 1)
        self.book: Tensor
        if self._learnt:
            self.book = nn.Parameter(book)
        else:
            self.register_buffer("book", book, persistent=False)
        self._outliers = self.steps.detach().abs() > limit

    def groups(self) -> list[dict[str, Any]]:
        """Return an optimizer's groups of what is learnt; ``spacing`` is in proportion to the steps that suit each."""
        weights = {"params": [self.steps], "spacing": self.spacing}
        entries = {"params": [self.book], "spacing": self.spacing * _ENTRIES}
        return [weights, entries] if self._learnt else [weights]

    def forward(self) -> Tensor:
        """Return the codes, float32; in training mode real numbers."""
        if not self.training or self.hardness >= 1 or len(self.book) < 2:
            return self._nearest()
        book = self._ordered(self.book.detach())
        weights = saturated(self.steps, float(book[0]), float(book[-1]))
        with torch.no_grad():
            above = torch.bucketize(weights.contiguous(), book, right=True).clamp(1, len(book) - 1)
            low, gap = book[above - 1], (book[above] - book[above - 1]).clamp(min=_COINCIDE)
        return torch.where(self._outliers, self.steps.detach(), low + gap * self._step((weights - low) / gap))

    @torch.no_grad()
    def settle(self) -> None:
        """Make each weight the code that it is nearest to, and entries whole numbers."""
        self.steps.copy_(self._nearest())
        self.book.copy_(self._ordered(rounded(self.book)))

    def _nearest(self) -> Tensor:
        if not self._learnt:
            return allowed(self.steps, self._among, self._axis)
        book = self._ordered(rounded(self.book))
        with torch.no_grad():
            members = torch.bucketize(self.steps.contiguous(), (book[1:] + book[:-1]) / 2)
        return book[members]

    def _ordered(self, book: Tensor) -> Tensor:
        """Return entries, in order, of which any two are safe side by side."""
        entries: Tensor = saturated(book, -float(self._among.limit), float(self._among.limit)).sort().values
        return entries

    def _step(self, share: Tensor) -> Tensor:
        slope = _SOFT * (_HARD / _SOFT) ** self.hardness
        end = 1 / (1 + math.exp(slope / 2))
        return (torch.sigmoid((share - 0.5) * slope) - end) / (1 - 2 * end)


def allowed(steps: Tensor, among: CodeSet, axis: int) -> Tensor:
    """Return the nearest codes to ``steps`` whose pairs are safe, float32, without gradients.

    Args:
        steps: weights in steps of their scales, in their own layout.
        among: the codes that there are.
        axis: of the weights' outputs.
    """
    laid = np.moveaxis(steps.detach().numpy().astype(np.float64), axis, 0)
    codes = np.moveaxis(among.rounded(laid), 0, axis)
    return torch.from_numpy(np.ascontiguousarray(codes, np.float32))
