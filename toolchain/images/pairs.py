"""Low-resolution pictures with their high-resolution ones: made of these, or read from two folders."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from toolchain.images.degradation import Degradation, find_degradation
from toolchain.images.photo import Pixels
from toolchain.images.scale import cropped, enlarged
from toolchain.images.sets import ImageSet, Skipped, read_images
from toolchain.support.errors import InputError

_SUFFIX = re.compile(
    r"[_\-. ]*(?:LR|HR|GT|LQ|HQ|BI|LRBI|SRF_?\d|x\d[a-z]?|\dx|bicubic|small|original|clean|noisy"
    r"|noise\d*|jpe?g_?\d*|q\d+)$",
    re.IGNORECASE,
)
"""What stands behind the common name of both pictures: sizes, and what was done to them."""

_TIMES = re.compile(r"(?:x|SRF_?)(\d)[a-z]?(?![^_\-. ])|(\d)x$", re.IGNORECASE)


@dataclass(frozen=True)
class Pair:
    """A picture at two sizes.

    Attributes:
        name: of the high-resolution picture's file.
        low: u8 (h, w, 3).
        high: u8 (h*scale, w*scale, 3).
    """

    name: str
    low: Pixels
    high: Pixels


@dataclass(frozen=True)
class PairSet:
    """Pairs to measure on.

    Attributes:
        pairs: in the order of their names.
        skipped: what could not be used.
        origin: where the low-resolution pictures are from, see `Degradation.name`; "pairs" where they were read.
        text: the same for people.
        degradation: what made them; None where they were read.
    """

    pairs: tuple[Pair, ...]
    skipped: tuple[Skipped, ...]
    origin: str
    text: str
    degradation: Degradation | None = None


def degraded(pictures: ImageSet, degradation: Degradation, scale: int | Fraction) -> PairSet:
    """Return ``pictures``, cropped to multiples of ``scale``, with what ``degradation`` makes of them."""
    pairs = []
    for name, image in zip(pictures.names, pictures.images, strict=True):
        high = image[: cropped(image.shape[0], scale), : cropped(image.shape[1], scale)]
        if high.size:
            pairs.append(Pair(name, degradation.apply(high, scale), high))
    return PairSet(tuple(pairs), pictures.skipped, degradation.name, degradation.text, degradation)


def find_pairs(hr: Path, lr: Path | None, degradation: str | None, scale: int | Fraction) -> PairSet:
    """Return pictures to measure a network of ``scale`` on: of two folders, or of one, made low-resolution here.

    Args:
        hr: a folder of high-resolution pictures.
        lr: a folder of their low-resolution ones; None to make them.
        degradation: how they are made, see `find_degradation`.
        scale: of the network.

    Raises:
        InputError: they cannot be read, do not fit together, or ``degradation`` is given beside ``lr``.
    """
    check_pairing(lr, degradation)
    if lr is None:
        return degraded(read_images(hr), find_degradation(degradation, scale), scale)
    return read_pairs(lr, hr, scale)


def check_pairing(lr: Path | None, degradation: str | None) -> None:
    """See that pictures are either read or made.

    Raises:
        InputError: both are asked for.
    """
    if lr is not None and degradation is not None:
        raise InputError("with --lr nothing is degraded", hint="leave --lr or --degradation away")


def read_pairs(low: Path, high: Path, scale: int | Fraction) -> PairSet:
    """Read the pictures of two folders, or two files, that belong together by their names.

    Names may differ by what usually tells the two apart: a size such as x2, LR, HR and the like. A high-resolution
    picture may be larger by what is left of its size over a multiple of ``scale``; it is cropped then.

    Raises:
        InputError: a folder does not exist, or no two pictures belong together; the message names some.
        CalibrationError: a folder has no picture that can be read.
    """
    lows, highs = read_images(low), read_images(high)
    alone = low.is_file() and high.is_file()
    matched = {highs.names[0]: lows.names[0]} if alone else match(lows.names, highs.names, scale)
    images = dict(zip(lows.names, lows.images, strict=True))
    pairs, skipped = [], [*lows.skipped, *highs.skipped]
    for name, image in zip(highs.names, highs.images, strict=True):
        if name not in matched:
            skipped.append(Skipped(name, f"has no picture of its name in {low}"))
            continue
        small = images[matched[name]]
        height, width = (enlarged(side, scale) for side in small.shape[:2])
        spare = (image.shape[0] - height, image.shape[1] - width)
        if not all(0 <= rest < scale for rest in spare):
            sizes = f"{image.shape[1]} x {image.shape[0]} pixels, not {scale} times {small.shape[1]} x {small.shape[0]}"
            skipped.append(Skipped(name, f"has {sizes} of {matched[name]}"))
            continue
        pairs.append(Pair(name, small, image[:height, :width]))
    used = set(matched.values())
    skipped += [Skipped(name, f"has no picture of its name in {high}") for name in lows.names if name not in used]
    if not pairs:
        first = next((f": {one.name} {one.reason}" for one in skipped), "")
        raise InputError(
            f"no picture of {low} belongs to one of {high}{first}",
            hint="names must be the same but for endings such as x2, LR and HR",
        )
    return PairSet(tuple(pairs), tuple(skipped), "pairs", f"low-resolution pictures are those of {low}")


def match(low: Iterable[str], high: Iterable[str], scale: int | Fraction) -> dict[str, str]:
    """Return the low-resolution picture's name for each name of a high-resolution one that has one.

    Of several that would do, those of another scale in their name go; what is not told apart then is left out.
    """
    named: dict[str, list[str]] = {}
    for name in low:
        for key in _keys(name):
            named.setdefault(key, []).append(name)
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name in high:
        for key in _keys(name):
            likely = named.get(key, [])
            if len(likely) > 1:
                likely = [other for other in likely if _times(other) in (None, scale)]
            if len(likely) > 1:
                likely = [other for other in likely if _times(other) == scale] or likely
            if len(likely) == 1 and likely[0] not in taken:
                found[name] = likely[0]
                taken.add(likely[0])
                break
    return found


def _keys(name: str) -> Iterator[str]:
    """Yield the name without its type, then without one ending after the other."""
    stem = Path(name).stem.lower()
    while stem:
        yield stem
        shorter = _SUFFIX.sub("", stem, count=1)
        if shorter == stem:
            return
        stem = shorter


def _times(name: str) -> int | None:
    """Return the scale that a name tells; None where it tells none."""
    found = list(_TIMES.finditer(Path(name).stem))
    return int(found[-1][1] or found[-1][2]) if found else None
