"""What proves a representative set: the content of its proof.json."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from toolchain.images import Skipped
from toolchain.images.scale import Scale
from toolchain.quantize.representative import OutputSpan, Reading
from toolchain.support.notebook import table


@dataclass(frozen=True)
class ImageProof:
    """One image of the set, without its pixels. ``name`` is that of its PNG and of its arrays; see ``TamedImage``."""

    name: str
    photograph: str
    kind: str
    factor: float
    width: int
    height: int
    place: tuple[int, int]
    before: tuple[float, float]
    after: tuple[float, float]


@dataclass(frozen=True)
class LeftOut:
    """A photograph, or patch of one at ``place`` (row, column), that could not be tamed: outputs span ``before``."""

    photograph: str
    place: tuple[int, int]
    before: tuple[float, float]


@dataclass(frozen=True)
class Proof:
    """What proof.json holds.

    Attributes:
        model: the file's name.
        channels, scale, value_range: of the network; outputs below are in its units.
        reading: see ``Reading``.
        before: smallest and largest output of the photographs as they are.
        coverage: what the outputs of the whole set span; ``proved``: they stay inside and touch both ends.
        output_scale, output_zero_point: the uint8 quantization that a calibrator which records extremes writes.
        codes: smallest and largest pixel of the set: contraction keeps inputs away from 0 and 255.
        images: the set.
        left_out: photographs or patches that the reading dropped.
        skipped: files that could not be used.
        warnings: what the user should know.
    """

    model: str
    channels: int
    scale: Scale
    value_range: tuple[float, float]
    reading: Reading
    before: tuple[float, float]
    coverage: OutputSpan
    proved: bool
    output_scale: float
    output_zero_point: int
    codes: tuple[int, int]
    images: tuple[ImageProof, ...]
    left_out: tuple[LeftOut, ...]
    skipped: tuple[Skipped, ...]
    warnings: tuple[str, ...]

    def _repr_html_(self) -> str:
        """Return a table of the images for notebooks."""
        spans = ([*(f"{low:.4f}..{high:.4f}" for low, high in (one.before, one.after))] for one in self.images)
        rows = ([one.name, *span, one.factor, one.kind] for one, span in zip(self.images, spans, strict=True))
        return table(["image", "output before", "after", "contrast", "kind"], rows)

    def to_json(self) -> str:
        """JSON text with sorted keys; equal proofs give equal bytes."""
        return json.dumps(asdict(self), indent=1, sort_keys=True, allow_nan=False, default=str) + "\n"
