"""Learns the codebooks of a quantized network against its float network, without labels."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from toolchain.frontend import SRModel
from toolchain.images import Pixels
from toolchain.images.metrics import decibels
from toolchain.quantize import IntegerReference
from toolchain.quantize.crops import cut_crops
from toolchain.quantize.floats import FloatModel, to_float
from toolchain.quantize.quantized import QuantizedModel
from toolchain.training.clusters import clustered, harden, refresh
from toolchain.training.network import QuantizedNetwork, code_sets


@dataclass(frozen=True)
class Plan:
    """How codebooks are learnt.

    Attributes:
        steps: of Adam.
        batch, patch: pieces a step, and a piece's side in low-resolution pixels.
        rate: the largest step of a weight, in mean distances between entries; entries have a tenth of it.
        refresh: steps after which entries become the means of their members; 0: never.
        judge: steps after which the integer reference judges, the best is kept.
    """

    steps: int
    batch: int = 8
    patch: int = 32
    rate: float = 0.01
    refresh: int = 0
    judge: int = 100


@dataclass(frozen=True, eq=False)
class Learned:
    """The best network, PSNR in dB against the float network's pictures before and after, and the step it is of."""

    model: onnx.ModelProto
    before: float
    after: float
    step: int


def train(sr: SRModel, quantized: QuantizedModel, photographs: Sequence[Pixels], plan: Plan) -> Learned:
    """Learn codebooks, scales and biases; each fifth photograph judges and is not learnt from."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    teach = _Teacher(sr)
    learned = [_pieces(sr, [photograph], plan, index) for index, photograph in enumerate(photographs) if index % 5 != 2]
    crops = [crop for found in learned for crop in found]
    judges = [crop for photograph in photographs[2::5] for crop in _pieces(sr, [photograph], plan, 0)[:1]][:16]
    wanted = [teach(crop) for crop in judges]
    net = QuantizedNetwork(quantized.model, clustered(code_sets(quantized.recipe)))
    optimizer = _optimizer(net)
    before = best = _error(quantized.model, judges, wanted)
    kept, kept_step = copy.deepcopy(net.state_dict()), 0
    for step in range(plan.steps):
        chosen = [crops[i] for i in rng.integers(len(crops), size=plan.batch)]
        low = torch.from_numpy(np.stack([crop.transpose(2, 0, 1) for crop in chosen]).astype(np.float32))
        target = torch.from_numpy(np.stack([teach(crop) for crop in chosen]))
        harden(net, step / plan.steps)
        # The square root of the square: patches of much texture would otherwise decide nearly alone.
        ((net.train()(low) - target).square() + 1.0).sqrt().mean().backward()
        share = min(1.0, 10 * (step + 1) / plan.steps) * (plan.steps - step) / plan.steps
        for group in optimizer.param_groups:
            group["lr"] = plan.rate * group["part"] * share
        optimizer.step()
        optimizer.zero_grad()
        if plan.refresh and (step + 1) % plan.refresh == 0 and step + 1 < plan.steps:
            refresh(net)
        if (step + 1) % plan.judge == 0 or step + 1 == plan.steps:
            error = _error(net.eval().written(), judges, wanted)
            if error < best:
                best, kept, kept_step = error, copy.deepcopy(net.state_dict()), step + 1
    net.load_state_dict(kept)
    return Learned(net.eval().written(), decibels(before), decibels(best), kept_step)


def _optimizer(net: QuantizedNetwork) -> torch.optim.Adam:
    groups: dict[float, list[torch.nn.Parameter]] = {}
    for name, parameter in net.named_parameters():
        part = {"steps": 1.0, "book": 0.1, "gains": 0.05, "bias": 1.0}[name.rsplit(".", 1)[-1]]
        groups.setdefault(part, []).append(parameter)
    return torch.optim.Adam([{"params": found, "part": part} for part, found in groups.items()], betas=(0.9, 0.99))


class _Teacher:
    """What the float network makes of a picture: grey levels float32 (C, h, w), clipped to 0..255."""

    def __init__(self, sr: SRModel) -> None:
        self._model, self._range = FloatModel(sr.model), sr.value_range

    def __call__(self, pixels: Pixels) -> NDArray[np.float32]:
        low, high = self._range
        grey = (self._model.run(to_float(pixels, self._range))[0] - low) * (255 / (high - low))
        clipped: NDArray[np.float32] = np.clip(grey, 0, 255).astype(np.float32)
        return clipped


def _pieces(sr: SRModel, photographs: Sequence[Pixels], plan: Plan, seed: int) -> list[Pixels]:
    found = cut_crops(
        photographs, channels=sr.channels, halo=0, size=plan.patch, per_image=8, shrink=sr.scale, seed=seed
    )
    return [crop for crop in found.crops if crop.shape[:2] == (plan.patch, plan.patch)]


def _error(model: onnx.ModelProto, judges: Sequence[Pixels], wanted: Sequence[NDArray[np.float32]]) -> float:
    reference = IntegerReference(model)
    errors = [
        np.mean((reference.run(pixels).transpose(2, 0, 1).astype(np.float64) - grey) ** 2)
        for pixels, grey in zip(judges, wanted, strict=True)
    ]
    return float(np.mean(errors))
