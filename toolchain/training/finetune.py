"""Finetuning of a quantized network: its codes learn to give what the float network gives, without labels.

The float network is the teacher of the integer one (knowledge distillation, Hinton et al., arXiv 1503.02531; as the
quantized student's own float network, Mishra and Marr, arXiv 1711.05852). In each cycle
biases learn, and weights are chosen anew among the codes next to them, which where asked for are learnt too, see
`codes.ChosenCodes`. A cycle begins with the best network so far; which is best, the integer reference says on
photographs that are not learned from.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from time import monotonic

import numpy as np
import onnx
import torch
from torch import Tensor

from toolchain.images import Pixels
from toolchain.images.metrics import decibels
from toolchain.quantize import IntegerReference
from toolchain.quantize.code_set import ALL, CodeSet
from toolchain.support.errors import InputError
from toolchain.support.progress import Tell, untold
from toolchain.training import checkpoint
from toolchain.training.codes import ChosenCodes, Site
from toolchain.training.network import QuantizedNetwork
from toolchain.training.patches import Cut, Piece, Teacher, pieces, split
from toolchain.training.state import named_state, restore_state

CYCLE = 100
"""Steps of a cycle; of fewer steps one is made."""
_SOFT, _HARD = 0.1, 0.85  # shares of a cycle after which choices begin to be harder, and when all are made
_SAVED = 50  # steps from one checkpoint to the next
_WARMUP = 20
_SLOWER = 0.8  # the rate after a cycle that gained nothing
_TIMED = 6  # steps that say how many fit in the minutes given
_SEEN = 64  # pieces that say where biases rest
_JUDGE_SEED, _MOST_JUDGES = 2**30, 40
_LEAST = 1 / 12  # a grey level's rounding costs so much


@dataclass(frozen=True)
class Plan:
    """How long and how fast to learn.

    Attributes:
        steps: of the optimizer, in all; None to find out how many fit in ``minutes``.
        minutes: of time; looked at where ``steps`` is None.
        batch: pieces a step.
        patch: a piece's side, in low-resolution pixels.
        rate: the largest step of weights, in codes; that of biases, in steps of the output, is a quarter.
        seed: where pieces are cut, and in which order they are taken.
        books: whether codebooks are learnt too.
    """

    steps: int | None = 2000
    minutes: float = 0.0
    batch: int = 12
    patch: int = 32
    rate: float = 0.02
    seed: int = 0
    books: bool = False


@dataclass(frozen=True, eq=False)
class Finetuned:
    """What became of a network.

    Attributes:
        model: canonical QDQ, as before but for the codes and biases of its convolutions.
        before, after: PSNR in dB of its pictures against the float network's, mean over photographs that judge.
        steps: that were made.
        changed, weights: of the weights so many have other codes.
        cycles: PSNR in dB after each.
    """

    model: onnx.ModelProto
    before: float
    after: float
    steps: int
    changed: int
    weights: int
    cycles: tuple[float, ...]


def finetune(
    model: onnx.ModelProto,
    photographs: Sequence[Pixels],
    cut: Cut,
    teacher: Teacher,
    plan: Plan,
    *,
    among: Mapping[str, CodeSet] | None = None,
    state: Path | None = None,
    progress: Tell = untold,
) -> Finetuned:
    """Train the convolutions of ``model``; what is returned is never worse, and is ``model`` where nothing is better.

    Args:
        model: canonical QDQ.
        photographs: u8 (h, w, C), taken as low-resolution pictures as they are.
        cut: of pieces; its side is ``plan.patch``.
        teacher: the float network.
        plan: how.
        among: the codes that weights may have, by the weights' names; int8 where it has none.
        state: of an earlier run that was stopped, and of this one while it runs; None to start over.
        progress: is told what is done.

    Raises:
        CalibrationError: the photographs cannot be used.
        InputError: ``state`` is another run's.
        OutputError: ``state`` cannot be written.
    """
    learned, judging = split(photographs)
    judges = pieces(judging, cut, teacher, _JUDGE_SEED)[:_MOST_JUDGES]
    found = pieces(learned, cut, teacher, plan.seed)
    run = _Run(model, among or {}, found, judges, plan)
    if state is not None and state.exists():
        run.resume(state)
    while not run.finished:
        run.step()
        progress(run.said, run.share)
        if state is not None and (run.done.step % _SAVED == 0 or run.finished):
            run.save(state)
    return run.result()


@dataclass(frozen=True)
class _Done:
    """Where a run stands: steps that are made, of how many; the rate's factor; errors that were found after cycles."""

    step: int = 0
    steps: int | None = None
    factor: float = 1.0
    best: float = math.inf
    errors: tuple[float, ...] = ()

    @property
    def cycles(self) -> int:
        return max(1, round((self.steps or 1) / CYCLE))


class _Run:
    """What is learned, from what, and what remembers it."""

    def __init__(
        self,
        model: onnx.ModelProto,
        among: Mapping[str, CodeSet],
        found: Sequence[Piece],
        judges: Sequence[Piece],
        plan: Plan,
    ) -> None:
        def chosen(site: Site) -> ChosenCodes:
            return ChosenCodes(site, among.get(site.name, ALL), learnt=plan.books)

        self._model, self._plan, self._judges = model, plan, judges
        self._pixels, self._wanted = _stacked(found)
        self._net, self._best = QuantizedNetwork(model, chosen), QuantizedNetwork(model, chosen)
        self._before = _error(model, judges)
        self._usual = math.exp(self._before)
        self.done = _Done(steps=plan.steps, best=self._before)
        self._began = monotonic()
        self._start = sha256(model.SerializeToString(deterministic=True) + self._pixels.numpy().tobytes()).hexdigest()
        self._net.rest_at_means(self._pixels[:_SEEN])
        self._adam = self._optimizer()

    @property
    def finished(self) -> bool:
        return self.done.step == self.done.steps

    @property
    def said(self) -> str:
        """What is being done, in words."""
        if self.done.steps is None:
            return "seeing how many steps fit"
        return f"training, {len(self.done.errors)} of {self.done.cycles} cycles made"

    @property
    def share(self) -> float:
        """Of all that is to be done."""
        return self.done.step / self.done.steps if self.done.steps else 0.0

    def step(self) -> None:
        """Make one step; at the end of a cycle see what came of it."""
        if self.done.steps is None and self.done.step == _TIMED:
            each = (monotonic() - self._began) / _TIMED
            self.done = replace(self.done, steps=max(_TIMED + 1, int(self._plan.minutes * 60 / each)))
        first, last = self._cycle()
        self._learn(self.done.step - first, (self.done.step - first) / (last - first))
        self.done = replace(self.done, step=self.done.step + 1)
        if self.done.step == last and self.done.steps is not None:
            self._judge()

    def save(self, state: Path) -> None:
        """Write where the run stands."""
        said = {"plan": asdict(self._plan), "start": self._start, **asdict(self.done)}
        checkpoint.save(state, nets={"net": self._net, "best": self._best}, optimizer=self, progress=said)

    def resume(self, state: Path) -> None:
        """Take over what `save` wrote."""
        said = checkpoint.load(state, nets={"net": self._net, "best": self._best}, optimizer=self)
        plan = json.loads(json.dumps(asdict(self._plan)))
        if said.pop("plan", None) != plan or said.pop("start", None) != self._start:
            raise InputError(
                f"{state} belongs to a run with other settings or photographs",
                hint="delete it to start over, or write elsewhere",
            )
        self.done = _Done(**{**said, "errors": tuple(said["errors"])})

    def result(self) -> Finetuned:
        """Return what is best."""
        given, best = QuantizedNetwork(self._model).constants(), self._best.eval().constants()
        gained = self.done.best < self._before
        changed = sum(int((given[name].weight != found.weight).sum()) for name, found in best.items())
        return Finetuned(
            self._best.written() if gained else self._model,
            decibels(math.exp(self._before)),
            decibels(math.exp(self.done.best)),
            self.done.step,
            changed if gained else 0,
            sum(found.weight.size for found in given.values()),
            tuple(decibels(math.exp(error)) for error in self.done.errors),
        )

    def state(self) -> dict[str, Tensor]:
        """Return moments and step counts."""
        return named_state([self._adam])

    def restore(self, named: Mapping[str, Tensor]) -> None:
        """Take over what `state` gave."""
        restore_state([self._adam], named)

    def _cycle(self) -> tuple[int, int]:
        """Return the first step of the cycle, and that after its last."""
        steps, cycles = self.done.steps or CYCLE, self.done.cycles
        index = min(self.done.step * cycles // steps, cycles - 1)
        while (index + 1) * steps // cycles <= self.done.step:
            index += 1
        return index * steps // cycles, (index + 1) * steps // cycles

    def _learn(self, step: int, share: float) -> None:
        self._harden(min(1.0, max(0.0, (share - _SOFT) / (_HARD - _SOFT))))
        rng = np.random.default_rng((self._plan.seed, self.done.step))
        chosen = torch.from_numpy(rng.integers(0, len(self._pixels), self._plan.batch))
        errors = (self._net.train()(self._pixels[chosen]) - self._wanted[chosen]).square().mean((1, 2, 3))
        # In decibels, as pictures are compared: a few pieces that saturate would else be all that is learned from.
        (self._usual * (errors / self._usual).log1p()).mean().backward()
        size = self.done.factor * min(1.0, (step + 1) / _WARMUP) * (1 - 0.9 * share)
        for group in self._adam.param_groups:
            group["lr"] = self._plan.rate * size * group["spacing"]
        self._adam.step()
        self._adam.zero_grad()

    def _harden(self, hardness: float) -> None:
        for layer in self._net.convolutions:
            layer.codes.hardness = hardness

    def _judge(self) -> None:
        for layer in self._net.convolutions:
            layer.codes.settle()
        error = _error(self._net.eval().written(), self._judges)
        errors, factor = (*self.done.errors, error), self.done.factor
        if error < self.done.best:
            self._best.load_state_dict(self._net.state_dict())
        else:
            factor *= _SLOWER
            self._net.load_state_dict(self._best.state_dict())
        self.done = replace(self.done, best=min(error, self.done.best), errors=errors, factor=factor)
        self._net.rest_at_means(self._pixels[:_SEEN])
        self._adam = self._optimizer()

    def _optimizer(self) -> torch.optim.Adam:
        """Make steps in codes for weights and entries, and in steps of the output for biases."""
        layers = list(self._net.convolutions)
        groups = [group for layer in layers for group in layer.codes.groups()]
        groups += [{"params": [layer.bias for layer in layers], "spacing": 0.25}]
        return torch.optim.Adam(groups, lr=0.0, betas=(0.9, 0.99))


def _stacked(found: Sequence[Piece]) -> tuple[Tensor, Tensor]:
    low = np.stack([piece.pixels.transpose(2, 0, 1) for piece in found]).astype(np.float32)
    return torch.from_numpy(low), torch.from_numpy(np.stack([piece.wanted for piece in found]))


def _error(model: onnx.ModelProto, judges: Sequence[Piece]) -> float:
    """Return the mean logarithm of the squared errors of the integer network's pixels, in grey levels."""
    reference = IntegerReference(model)
    errors = [
        np.mean((reference.run(piece.pixels).transpose(2, 0, 1).astype(np.float64) - piece.wanted) ** 2)
        for piece in judges
    ]
    return float(np.mean(np.log(np.maximum(errors, _LEAST))))
