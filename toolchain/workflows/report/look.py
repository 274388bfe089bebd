"""What people look at: a piece of a photograph, small, enlarged by both networks; and every tensor, compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from toolchain.frontend.unit import unit_of
from toolchain.images import to_channels
from toolchain.images.bicubic import enlarge, shrink
from toolchain.images.scale import enlarged, shrunk
from toolchain.quantize.fidelity import TensorFidelity, compare_tensors
from toolchain.quantize.quantized import QuantizedModel
from toolchain.reference.network import describe_network

if TYPE_CHECKING:
    from toolchain.frontend import SRModel
    from toolchain.images import ImageSet

Pixels = npt.NDArray[np.uint8]
Upscale = Callable[[Pixels], Pixels]

_TALL, _WIDE = 220, 330  # of the enlarged piece in pixels, about
_WORK = 1.5e8  # multiply-accumulates that the integer reference may do: a few tenths of a second
_LEAST = 24  # side of what tensors are compared on, in input pixels, at least
_PHOTOS = 6  # that are looked at for a piece
_MUCH = 0.8  # of all pieces have less detail than the one that is shown


@dataclass(frozen=True, eq=False)
class Look:
    """A piece of a photograph, u8 (h, w, C), and what becomes of it.

    Attributes:
        photograph: its name.
        picture: the piece, made small: what the networks are given.
        bicubic: enlarged without a network.
        original: the piece as it was; None where the network does not enlarge.
        exact: by the float network in onnxruntime; None where it is not known.
        found: by the deployed network.
        tensors: of an integer network beside its float one, on the middle of the piece; empty where there is none.
        side: height and width of that middle, in input pixels.
    """

    photograph: str
    picture: Pixels
    bicubic: Pixels
    original: Pixels | None
    exact: Pixels | None
    found: Pixels
    tensors: tuple[TensorFidelity, ...]
    side: tuple[int, int]

    @property
    def amplified(self) -> int:
        """By how much the difference is amplified that is shown: the largest power of two at which the most different
        values are still told apart, at most 32.
        """
        if self.exact is None:
            return 1
        most = int(np.abs(self.found.astype(np.int16) - self.exact).max(initial=1))
        return int(min(32, 2 ** max(0, (127 // max(most, 1)).bit_length() - 1)))

    @property
    def difference(self) -> Pixels | None:
        """The deployed network's picture less the float one's, amplified, about grey."""
        if self.exact is None:
            return None
        grey = 128 + self.amplified * (self.found.astype(np.int16) - self.exact)
        return grey.clip(0, 255).astype(np.uint8)


def look(
    model: QuantizedModel | SRModel,
    photos: ImageSet,
    upscale: Upscale,
    exact: Callable[[SRModel], Upscale],
    smallest: tuple[int, int],
    *,
    quick: bool = True,
) -> Look | None:
    """Enlarge a piece of the first photographs that has much detail, and compare every tensor on its middle.

    Args:
        model: that is deployed.
        photos: that it was calibrated on.
        upscale: what runs the deployed network.
        exact: returns what runs a float network.
        smallest: height and width of the smallest picture that the network takes.
        quick: whether ``upscale`` is; else the piece is smaller.

    Returns: None where no photograph is large enough.
    """
    unit, scale = unit_of(model.model), model.scale
    least = tuple(side + -side % unit for side in smallest)
    shown = [side / max(scale, 1) for side in (_TALL, _WIDE)]
    smaller = 1.0 if quick else min(1.0, (_pixels(model) / (shown[0] * shown[1])) ** 0.5)
    largest = max((image.shape[:2] for image in photos.images[:_PHOTOS]), key=min, default=(0, 0))
    room = [shrunk(side, max(scale, 1)) // unit * unit for side in largest]
    sides = [
        min(max(int(side * smaller) // unit * unit, low), most)
        for side, low, most in zip(shown, least, room, strict=True)
    ]
    if any(side < low for side, low in zip(sides, least, strict=True)):
        return None
    found = _piece(photos, model.channels, tuple(enlarged(side, max(scale, 1)) for side in sides))
    if found is None:
        return None
    name, piece = found
    picture = shrink(piece, scale) if scale > 1 else piece
    picture = picture[: sides[0], : sides[1]]
    network = model.balanced if isinstance(model, QuantizedModel) else model
    made = upscale(picture)
    tensors, side = _tensors(model, picture, unit, least)
    return Look(
        photograph=name,
        picture=picture,
        bicubic=enlarge(picture, scale),
        original=piece[: made.shape[0], : made.shape[1]] if scale > 1 else None,
        exact=None if network is None else exact(network)(picture),
        found=made,
        tensors=tensors,
        side=side,
    )


def _tensors(
    model: QuantizedModel | SRModel, picture: Pixels, unit: int, least: tuple[int, ...]
) -> tuple[tuple[TensorFidelity, ...], tuple[int, int]]:
    """Compare tensors on as much of the middle as the reference does quickly."""
    if not isinstance(model, QuantizedModel) or model.balanced is None:
        return (), (0, 0)
    pixels = _pixels(model)
    tall, wide = picture.shape[:2]
    shrinking = min(1.0, (pixels / (tall * wide)) ** 0.5)
    side = [
        min(length, max(int(length * shrinking), _LEAST, low) // unit * unit)
        for length, low in zip((tall, wide), least, strict=True)
    ]
    top, left = (tall - side[0]) // 2, (wide - side[1]) // 2
    middle = np.ascontiguousarray(picture[top : top + side[0], left : left + side[1]])
    return compare_tensors(model, [middle]), (side[0], side[1])


def _pixels(model: QuantizedModel | SRModel) -> float:
    """Return how many input pixels the reference enlarges quickly."""
    return _WORK / max(describe_network(model.model).macs_per_pixel, 1.0)


def _piece(photos: ImageSet, channels: int, size: tuple[int, ...]) -> tuple[str, Pixels] | None:
    """Return the name and a piece (height, width) of a photograph that has more edges than most."""
    found: list[tuple[float, str, Pixels]] = []
    for name, image in list(zip(photos.names, photos.images, strict=True))[:_PHOTOS]:
        height, width = size
        if image.shape[0] < height or image.shape[1] < width:
            continue
        plane = image[:, :, image.shape[2] // 2].astype(np.int16)
        edges = np.abs(np.diff(plane, axis=0))[:, :-1] + np.abs(np.diff(plane, axis=1))[:-1]
        sums = np.pad(edges.astype(np.int64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
        for top in range(0, image.shape[0] - height + 1, max(height // 2, 1)):
            for left in range(0, image.shape[1] - width + 1, max(width // 2, 1)):
                below, right = min(top + height, sums.shape[0] - 1), min(left + width, sums.shape[1] - 1)
                worth = float(sums[below, right] - sums[top, right] - sums[below, left] + sums[top, left])
                found.append((worth, name, image[top : top + height, left : left + width]))
    if not found:
        return None
    # The very most is often noise, or fur.
    _, name, piece = sorted(found, key=lambda one: one[0])[int(_MUCH * (len(found) - 1))]
    return name, np.ascontiguousarray(to_channels(piece, channels))
