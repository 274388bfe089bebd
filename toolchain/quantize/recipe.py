"""recipe.json: how every tensor of a quantized model came by its numbers."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass, fields
from typing import Any

from toolchain.errors import CalibrationError

VERSION = 1


@dataclass(frozen=True)
class TensorRecipe:
    """One quantized tensor.

    Attributes:
        name: the tensor's name in the normalized float model.
        role: "activation", "weight" or "bias".
        dtype: "uint8", "int8" or "int32".
        scale: float32 values; one, or one per output channel.
        zero_point: one, or one per output channel.
        axis: the channels' axis; None per tensor.
        estimator: "minmax", "mse", ...; "pixels" where pinned; "accumulator" for biases.
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
class Recipe:
    """Everything needed to understand, and with the same photos repeat, a quantization."""

    model: str
    settings: dict[str, Any]
    tensors: tuple[TensorRecipe, ...]
    images: tuple[ImageRecipe, ...] = ()
    representative: RepresentativeRecipe | None = None
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
