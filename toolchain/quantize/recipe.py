"""recipe.json: how every tensor of a quantized model came by its numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from toolchain.quantize.bits import Bits, write_bits
from toolchain.quantize.mixed import fine_name
from toolchain.reference.quantization import WIDE_BITS

VERSION = 1


@dataclass(frozen=True)
class TensorRecipe:
    """One quantized tensor.

    Attributes:
        name: the tensor's name in the normalized float model.
        role: "activation", "weight" or "bias".
        dtype: "uint8", or "uint16" where it was kept at 16 bits; "int8", "int32".
        scale: float32 values; one, or one per output channel.
        zero_point: one, or one per output channel.
        axis: the channels' axis; None per tensor.
        estimator: "minmax", "mse", ...; "pixels" where pinned; "accumulator" for biases. The range of a tensor of 16
            bits holds what it says, and half as much again as was seen, unless some of its channels have 8.
        source: what decided the range: "pixels", "natural+augmented+tamed", "weights", "file" (another tool's).
        weight_bits: of a weight's code, or of its place in the codebook, where these are fewer than 8.
        codebook: the int8 numbers that a weight's codes are among; empty without one.
        outliers: weights of an output, at most, that have all of int8 all the same.
        low: smallest real value, and ``high`` the largest, seen in calibration; None where nothing was measured.
    """

    name: str
    role: str
    dtype: str
    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    axis: int | None
    estimator: str
    source: str
    low: float | None = None
    high: float | None = None
    weight_bits: int | None = None
    codebook: tuple[int, ...] = ()
    outliers: int = 0

    @property
    def bits(self) -> int:
        """Bits of a code."""
        return self.weight_bits or 8 * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class ImageRecipe:
    """One calibration photo: place in the list, size in pixels, SHA-256 of its pixels."""

    index: int
    width: int
    height: int
    sha256: str


@dataclass(frozen=True)
class RepresentativeRecipe:
    """The proof of the representative set: outputs of the float network, in its units, before and after taming."""

    images: int
    contracted: int
    rejected: int
    smallest_factor: float
    before: tuple[float, float]
    after: tuple[float, float]
    proved: bool


@dataclass(frozen=True)
class WideRecipe:
    """A tensor that the budget was spent on, with those that share its range, or some of its channels.

    Attributes:
        name: of the tensor.
        macs: multiply-accumulates that it adds, in percent of the network's.
        psnr: of the output against the float network's in dB, expected with it and those chosen before it, on crops
            that chose nothing.
        channels: which of its channels have 16 bits; empty: all.
    """

    name: str
    macs: float
    psnr: float
    channels: tuple[int, ...] = ()


def bits_of(chosen: Sequence[WideRecipe]) -> dict[str, Bits]:
    """Return the bits of the tensors that were chosen, as `Settings` take them."""
    found: dict[str, Bits] = {}
    for item in chosen:
        before = found.get(item.name, ())
        if isinstance(before, int) or not item.channels:
            found[item.name] = WIDE_BITS
        else:
            found[item.name] = tuple(sorted((*before, *item.channels)))
    return found


def ask_for(bits: Mapping[str, Bits]) -> tuple[str, ...]:
    """Return words for `clipfree deploy` that ask for these bits, and for no others."""
    said = [word for name, one in bits.items() for word in ("--bits", write_bits(name, one))]
    return (*said, "--budget", "0")


def _named(chosen: Sequence[WideRecipe]) -> str:
    """Return tensors that were chosen, and what they cost, for people."""
    macs: dict[str, float] = {}
    channels: dict[str, int] = {}
    for item in chosen:
        macs[item.name] = macs.get(item.name, 0.0) + item.macs
        channels[item.name] = channels.get(item.name, 0) + len(item.channels)
    counts = {name: f"{count} channels, " if count else "" for name, count in channels.items()}
    return ", ".join(f"{name} ({counts[name]}{cost:.1f} %)" for name, cost in macs.items())


@dataclass(frozen=True)
class BudgetRecipe:
    """How a budget for tensors of 16 bits was spent.

    Attributes:
        percent: of the network's multiply-accumulates that might be added.
        spent: that were.
        before: PSNR of the output against the float network's without them, on crops that chose nothing, in dB.
        after: the same with them.
        chosen: the tensors, in the order of what they gain for their cost.
    """

    percent: float
    spent: float
    before: float
    after: float
    chosen: tuple[WideRecipe, ...]

    def __str__(self) -> str:
        """For people."""
        names = _named(self.chosen)
        if not names:
            return (
                f"nothing is spent: no tensor is worth 16 bits within {self.percent:g} % more multiply-accumulates, "
                "on crops that do not choose"
            )
        return (
            f"chosen for 16 bits: {names}; {self.spent:.1f} of {self.percent:g} % spent, "
            f"{self.before:.2f} -> {self.after:.2f} dB against the float network"
        )


@dataclass(frozen=True)
class BoundRecipe:
    """How a bound on the loss of PSNR was kept, or not.

    Attributes:
        wanted: the bound: PSNR against the float network's in dB, see ``drop.PsnrDrop``.
        before: what is lost with 8 bits everywhere but where the user decided.
        after: what is lost with what is chosen.
        spent: multiply-accumulates that are added, in percent of the network's.
        chosen: the tensors of 16 bits, in the order of what they gain for their cost.
        culprits: what most of the rest is lost in, worst first, where the bound is not kept.
        budget: percent of multiply-accumulates that might be added; None: as many as there are.
        demanded: whether somebody asked for the bound.
    """

    wanted: float
    before: float
    after: float
    spent: float
    chosen: tuple[WideRecipe, ...]
    culprits: tuple[str, ...] = ()
    budget: float | None = None
    demanded: bool = True

    @property
    def kept(self) -> bool:
        """Whether the bound is."""
        return self.after <= self.wanted

    def __str__(self) -> str:
        """For people."""
        names = _named(self.chosen)
        spent = f": 16 bits for {names}; {self.spent:.1f} % more work" if names else ", with no work spent on 16 bits"
        lost = f"{self.after:.3f} dB below float" + (f" instead of {self.before:.3f}" if names else "") + spent
        return f"{lost} ({self._allowed})" if self.kept else f"{lost}; {self._missed}{self._blamed}"

    @property
    def _allowed(self) -> str:
        if self.demanded:
            return f"{self.wanted:g} dB allowed"
        if not self.chosen:
            return f"above {self.wanted:g} dB some is, or when asked for"
        return f"more than {self.wanted:g} dB was lost; `--budget 0` spends nothing"

    @property
    def _missed(self) -> str:
        within = "" if self.budget is None else f" within {self.budget:g} % more work"
        if self.demanded:
            return f"{self.wanted:g} dB cannot be kept{within}"
        return f"nothing keeps {self.wanted:g} dB{within}: `--max-loss {self.wanted:g}` spends what it takes"

    @property
    def _blamed(self) -> str:
        return f"; most is lost in {', '.join(self.culprits)}" if self.culprits else ""


@dataclass(frozen=True)
class SparedRecipe:
    """The fewest bits for weights that keep to a bound on the loss.

    Attributes:
        wanted: the bound: PSNR against the float network's in dB, see ``drop.PsnrDrop``.
        before: what is lost with 8 bits for weights.
        after: what is lost with what is chosen.
        share: the part of all weights' bits that is saved, 0 to 1; what codebooks take is not counted.
        bits: that were chosen, by the convolution's output; 8 for the others.
    """

    wanted: float
    before: float
    after: float
    share: float
    bits: Mapping[str, int]

    def __str__(self) -> str:
        """For people."""
        if not self.bits:
            return f"none has fewer: {self.before:.3f} dB are lost, {self.wanted:g} dB allowed"
        return f"{self.share:.0%} of their bits saved: {self.before:.3f} -> {self.after:.3f} dB below float"


@dataclass(frozen=True)
class MemberRecipe:
    """A member of a nested network.

    Attributes:
        bits: of its weights.
        size: bytes of the beginning of the file that is this member.
        psnr: of its output against the float network's in dB, on crops that chose nothing.
        drop: PSNR that it loses against the float network in dB, see ``drop.PsnrDrop``.
        alone: what a network loses whose weights are rounded for these bits alone.
    """

    bits: int
    size: int
    psnr: float
    drop: float
    alone: float

    def __str__(self) -> str:
        """For people."""
        return (
            f"{self.bits} bits in the first {self.size / 1e3:.1f} kB: {self.drop:.3f} dB below float "
            f"({self.alone:.3f} if rounded for {self.bits} bits alone)"
        )


@dataclass(frozen=True)
class CostRecipe:
    """What a network costs by one measure, see ``budgets``.

    Attributes:
        kind: "bops", bit operations per input pixel; "size", bytes of packed weights; "work", multiply-accumulates per
            input pixel that 16 bits add.
        most: that it might cost; None: no bound.
        least: that a choice of bits costs.
        plain: what 8 bits everywhere cost; for "work" all multiply-accumulates.
        spent: what the network costs.
    """

    kind: str
    most: float | None
    least: float
    plain: float
    spent: float

    def __str__(self) -> str:
        """For people."""
        if self.kind == "size":
            allowed = "" if self.most is None else f"{self.most / 1e3:.2f} kB allowed, "
            share = self.spent / max(self.plain, 1)
            return (
                f"weights packed {self.spent / 1e3:.2f} kB, {share:.1%} of 8 bits ({allowed}{self.least / 1e3:.2f} kB "
                "the least)"
            )
        parts = {
            name: 100 * cost / max(self.plain, 1e-300) for name, cost in (("spent", self.spent), ("least", self.least))
        }
        allowed = "" if self.most is None else f"{100 * self.most / max(self.plain, 1e-300):.4g} % allowed"
        if self.kind == "work":
            return f"{parts['spent']:.1f} % more work ({allowed})"
        said = ", ".join([*([allowed] if allowed else []), f"{parts['least']:.1f} % the least"])
        return f"bit operations {parts['spent']:.1f} % of 8 bits ({said})"


@dataclass(frozen=True)
class TradeRecipe:
    """How bits of weights and of activations were chosen together under bounds of cost.

    Attributes:
        costs: by each bound's measure.
        before: PSNR that is lost against the float network in dB, with 8 bits but where the user decided, see
            ``drop.PsnrDrop``.
        after: what is lost with what is chosen.
        bits: of weights that were chosen, by the convolution's output; 8 for the others.
        chosen: the tensors of 16 bits, in the order of what they gain for their cost.
        wanted: the bound on the loss in dB, within which as little as possible is spent; None: as little is lost as the
            bounds of cost allow.
    """

    costs: tuple[CostRecipe, ...]
    before: float
    after: float
    bits: Mapping[str, int]
    chosen: tuple[WideRecipe, ...]
    wanted: float | None = None

    @property
    def kept(self) -> bool:
        """Whether the bound on the loss is; those of cost are in any case."""
        return self.wanted is None or self.after <= self.wanted

    @property
    def demanded(self) -> bool:
        """Whether somebody asked for a bound on the loss."""
        return self.wanted is not None

    def __str__(self) -> str:
        """For people."""
        lost = f"{self.after:.3f} dB below float, {self.before:.3f} with 8 bits"
        if self.wanted is not None:
            lost += f" ({self.wanted:g} dB allowed)" if self.kept else f"; {self.wanted:g} dB cannot be kept"
        names = _named(self.chosen)
        return "; ".join([*map(str, self.costs), lost, *([f"16 bits for {names}"] if names else [])])


@dataclass(frozen=True)
class Recipe:
    """Everything needed to understand, and with the same photos repeat, a quantization."""

    model: str
    settings: Mapping[str, Any]
    tensors: tuple[TensorRecipe, ...]
    images: tuple[ImageRecipe, ...] = ()
    representative: RepresentativeRecipe | None = None
    budget: BudgetRecipe | None = None
    bound: BoundRecipe | None = None
    spared: SparedRecipe | None = None
    nested: tuple[MemberRecipe, ...] = ()
    traded: TradeRecipe | None = None
    changes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    version: int = VERSION

    @property
    def by_hand(self) -> tuple[str, ...]:
        """Words for `clipfree deploy` that ask for the tensors of 16 bits and the weights of fewer than 8 by name; none
        where nothing was chosen.
        """
        chosen = bits_of([item for spent in (self.budget, self.bound, self.traded) if spent for item in spent.chosen])
        tensors = {tensor.name for tensor in self.tensors}
        given = {name: bits if fine_name(name) in tensors else WIDE_BITS for name, bits in chosen.items()}
        words = ask_for({**self.settings.get("bits", {}), **given}) if chosen else ()
        spared = next((one.bits for one in (self.spared, self.traded) if one), {})
        few = {**self.settings.get("weight_bits", {}), **spared} if spared else {}
        asked = [word for name, bits in few.items() for word in ("--weight-bits", f"{name}={bits}")]
        book = ("--codebook",) if few and self.settings.get("codebook") else ()
        plain = ("--no-outliers",) if few and not self.settings.get("outliers", True) else ()
        return (*words, *asked, *book, *plain)

    def to_json(self) -> str:
        """JSON text with sorted keys; equal recipes give equal bytes."""
        return json.dumps(asdict(self), indent=1, sort_keys=True, allow_nan=False) + "\n"
