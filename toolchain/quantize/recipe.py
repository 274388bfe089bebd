"""recipe.json: how every tensor of a quantized model came by its numbers."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from toolchain.support.errors import CalibrationError

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
            bits holds what it says, and half as much again as was seen.
        source: what decided the range: "pixels", "natural+augmented+tamed", "weights", "file" (another tool's).
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

    @property
    def bits(self) -> int:
        """Of a code."""
        return 8 * np.dtype(self.dtype).itemsize


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
    """A tensor that the budget was spent on, with those that share its range.

    Attributes:
        name: of the tensor.
        macs: multiply-accumulates that it adds, in percent of the network's.
        psnr: of the output against the float network's in dB, expected with it and those chosen before it, on crops
            that chose nothing.
    """

    name: str
    macs: float
    psnr: float


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
        names = ", ".join(f"{item.name} ({item.macs:.1f} %)" for item in self.chosen)
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
class Recipe:
    """Everything needed to understand, and with the same photos repeat, a quantization."""

    model: str
    settings: dict[str, Any]
    tensors: tuple[TensorRecipe, ...]
    images: tuple[ImageRecipe, ...] = ()
    representative: RepresentativeRecipe | None = None
    budget: BudgetRecipe | None = None
    changes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    version: int = VERSION

    def to_json(self) -> str:
        """JSON text with sorted keys; equal recipes give equal bytes."""
        return json.dumps(asdict(self), indent=1, sort_keys=True, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """Read what ``to_json`` wrote.

        Raises:
            CalibrationError: not JSON, of another format version, or with missing or unknown fields.
        """
        try:
            data = json.loads(text)
        except ValueError as error:
            raise CalibrationError(f"the recipe is not JSON: {error}") from error
        if not isinstance(data, dict) or data.get("version") != VERSION:
            found = data.get("version") if isinstance(data, dict) else None
            raise CalibrationError(
                f"the recipe has format version {found}, not {VERSION}", hint="quantize the model again"
            )
        try:
            data["tensors"] = tuple(_read(TensorRecipe, item) for item in data["tensors"])
            data["images"] = tuple(_read(ImageRecipe, item) for item in data["images"])
            if data["representative"] is not None:
                data["representative"] = _read(RepresentativeRecipe, data["representative"])
            if data.get("budget") is not None:
                chosen = tuple(_read(WideRecipe, item) for item in data["budget"]["chosen"])
                data["budget"] = _read(BudgetRecipe, {**data["budget"], "chosen": chosen})
            recipe: Recipe = _read(cls, data)
        except (KeyError, TypeError) as error:
            raise CalibrationError(f"the recipe is damaged: {error}", hint="quantize the model again") from error
        return recipe

    def check(self, names: Collection[str]) -> None:
        """Raise CalibrationError where the recipe speaks of a tensor that is not among ``names``."""
        unknown = sorted({tensor.name for tensor in self.tensors} - set(names))
        if unknown:
            raise CalibrationError(
                f"the recipe names a tensor that the model does not have: '{unknown[0]}'"
                + (f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""),
                hint="use the recipe of this very model",
            )


def _read(kind: Any, data: dict[str, Any]) -> Any:
    known = {field.name for field in fields(kind)}
    if set(data) - known:
        raise TypeError(f"unknown field '{sorted(set(data) - known)[0]}'")
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in data.items()})
