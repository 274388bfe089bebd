"""Where 16 bits are spent: for what they gain under a budget of work, or as few as keep to a bound on the loss."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Generic, Protocol, TypeVar

import numpy as np
import onnx
from numpy.typing import NDArray

from toolchain.images.metrics import decibels
from toolchain.quantize.crops import HeldOut
from toolchain.quantize.drop import PsnrDrop
from toolchain.quantize.fidelity import Part, find_culprits, write_variant
from toolchain.quantize.fidelity.variants import balanced
from toolchain.quantize.plan import QuantizationPlan
from toolchain.quantize.quantized import QuantizedModel
from toolchain.quantize.recipe import BoundRecipe, BudgetRecipe, WideRecipe
from toolchain.quantize.widen import choose_wide, fewest, keep_gains

_ALL = 100.0
"""Percent: what 16 bits everywhere add to the multiply-accumulates."""


class _Network(Protocol):
    @property
    def model(self) -> onnx.ModelProto: ...


Made = TypeVar("Made", bound=_Network)


class _Describe(Protocol[Made]):  # type: ignore[misc]  # Protocols of parameters are contravariant, which Made is not
    def __call__(
        self, found: Made, budget: BudgetRecipe | None = None, bound: BoundRecipe | None = None
    ) -> QuantizedModel: ...


@dataclass(frozen=True, eq=False)
class Spending(Generic[Made]):
    """A network whose tensors can be made wider.

    Attributes:
        described: a network with its recipe.
        plan: of its quantization.
        decided: groups of the plan whose bits the user has decided.
        pictures: u8 (h, w, C), that choose.
        judges: crops that may only refuse.
        error: of a network on them: the mean squared one against the float network, in grey levels.
        widened: the network with some tensors at 16 bits, all weights rounded for it.
    """

    described: _Describe[Made]
    plan: QuantizationPlan
    decided: Collection[str]
    pictures: Sequence[NDArray[np.uint8]]
    judges: Sequence[HeldOut]
    error: Callable[[Made], float]
    widened: Callable[[Sequence[WideRecipe]], Made]

    def within_budget(self, found: Made, budget: float) -> QuantizedModel:
        """Spend at most ``budget`` percent more work on what gains most; ``found``: 8 bits everywhere."""
        chosen = self._choose(self.described(found), budget)
        best, chosen = keep_gains(chosen, lambda count: self.widened(chosen[:count]), self.error)
        before, after = (decibels(self.error(one)) for one in (found, best))
        return self.described(best, BudgetRecipe(budget, _spent(chosen), before, after, chosen))

    def within_loss(self, found: Made, bound: float, budget: float | None) -> QuantizedModel:
        """Spend as little as keeps the loss of PSNR within ``bound`` dB; where nothing does, what loses least.

        Args:
            found: 8 bits everywhere.
            bound: in dB, see `PsnrDrop`.
            budget: percent of multiply-accumulates that may be added at most; None: as many as there are.
        """
        start = self.described(found)
        drop = PsnrDrop(balanced(start), self.judges)
        before = drop(found.model)
        if before <= bound:
            return self.described(found, bound=BoundRecipe(bound, before, before, 0.0, ()))
        chosen = self._choose(
            start,
            _ALL if budget is None else budget,
            lambda quantized: drop(write_variant(start, frozenset(quantized))) <= bound / 2,
        )

        @cache
        def made(count: int) -> tuple[Made, float]:
            network = self.widened(chosen[:count])
            return network, drop(network.model) if count else before

        count = fewest(len(chosen), lambda count: made(count)[1] <= bound)
        if count is None:
            count = min((0, len(chosen)), key=lambda count: made(count)[1])
        best, after = made(count)
        taken = chosen[:count]
        culprits: tuple[str, ...] = ()
        if after > bound:
            pictures = [crop.pixels for crop in self.judges]
            # The output's rounding to pixels is everybody's, the float network's too.
            inner = find_culprits(
                self.described(best), pictures, lambda part: self.plan.group.get(part.name) not in self.plan.pinned
            )
            culprits = tuple(str(part) for part, _ in inner)
        return self.described(best, bound=BoundRecipe(bound, before, after, _spent(taken), taken, culprits))

    def _choose(
        self,
        start: QuantizedModel,
        budget: float,
        suffices: Callable[[Collection[Part]], bool] = lambda quantized: False,
    ) -> tuple[WideRecipe, ...]:
        judges = [crop.pixels for crop in self.judges]
        return choose_wide(start, self.plan, budget, self.decided, self.pictures, judges, suffices)


def _spent(chosen: Sequence[WideRecipe]) -> float:
    return sum(item.macs for item in chosen)
