"""Which pictures are enlarged into which files."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from toolchain.images import Format, format_named, format_of, picture_files
from toolchain.images.scale import suffix_of
from toolchain.support.errors import InputError

STANDARD = Path("-")
"""Stands for standard input and standard output."""


@dataclass(frozen=True)
class UpscaleJob:
    """A picture to enlarge: ``source`` into ``output``, either of which may be ``STANDARD``, a file of ``format``."""

    source: Path
    output: Path
    format: Format


@dataclass(frozen=True)
class Found:
    """A picture that was asked for, and the folder, below that of the results, that its result goes into."""

    path: Path
    below: Path


def plan_jobs(
    photos: Sequence[Path],
    out: Path | None,
    *,
    scale: int | Fraction,
    recursive: bool = False,
    format_name: str | None = None,
) -> tuple[UpscaleJob, ...]:
    """Find the pictures and name their results: NAME_xSCALE.png beside them, or in ``out``, or ``out`` itself.

    Of a folder all pictures are taken, with ``recursive`` those below it too; their results keep the folders they are
    in. Results that would have one name keep more of their pictures' names. A picture given twice is taken once.

    Args:
        photos: files, folders, or ``STANDARD``.
        out: a file, a folder, or ``STANDARD``; None for beside the pictures.
        scale: of the network.
        recursive: look into the folders of folders.
        format_name: of the results; None for that of ``out``, else PNG.

    Raises:
        InputError: there is no picture, the results do not fit into ``out``, or one would be written over a picture.
    """
    one = out is not None and (out == STANDARD or (bool(out.suffix) and not out.is_dir()))
    kind = _format(out if one else None, format_name)
    found = _find(photos, out, recursive)
    if one or (out is None and STANDARD in photos):
        place = out or STANDARD
        if len(found) > 1:
            raise InputError(f"{_name(place)} cannot hold {len(found)} pictures", hint="give a folder with -o")
        jobs = [UpscaleJob(found[0].path, place, kind)]
    else:
        jobs = [
            UpscaleJob(item.path, output, kind)
            for item, output in zip(found, _outputs(found, out, scale, kind), strict=True)
        ]
    sources = {os.path.realpath(job.source) for job in jobs if job.source != STANDARD}
    for job in jobs:
        if job.output != STANDARD and os.path.realpath(job.output) in sources:
            raise InputError(f"{job.output} would be written over itself", hint="choose another name with -o")
    return tuple(jobs)


def _format(file: Path | None, name: str | None) -> Format:
    """Return the format that a file's name or ``--format`` asks for."""
    by_name = None if name is None else format_named(name)
    if file is None or file == STANDARD:
        return by_name or format_named("png")
    by_file = format_of(file)
    if by_name is not None and by_name != by_file:
        raise InputError(f"{file.name} is no {name}", hint=f"leave --format away, or write a .{name}")
    return by_file


def _find(photos: Sequence[Path], out: Path | None, recursive: bool) -> list[Found]:
    found: dict[str, Found] = {}
    results = None if out is None or out == STANDARD else Path(os.path.realpath(out))
    for photo in photos:
        if not photo.is_dir():
            found.setdefault(os.path.realpath(photo) if photo != STANDARD else "-", Found(photo, Path()))
            continue
        if out is None:
            raise InputError(f"{photo} is a folder: its results need one of their own", hint="name it with -o")
        inside = [path for path in picture_files(photo, recursive=recursive) if not _within(path, results)]
        if not inside:
            raise InputError(f"{photo} holds no picture", hint="" if recursive else "-r looks into its folders too")
        for path in inside:
            found.setdefault(os.path.realpath(path), Found(path, path.parent.relative_to(photo)))
    return list(found.values())


def _within(path: Path, folder: Path | None) -> bool:
    return folder is not None and Path(os.path.realpath(path)).is_relative_to(folder)


def _outputs(found: Sequence[Found], out: Path | None, scale: int | Fraction, kind: Format) -> list[Path]:
    """Return a name for each result. What has one name with another keeps its suffix, then the folder it came
    from too.
    """
    suffix = f"_{suffix_of(scale)}{kind.suffixes[0]}"

    def folder(item: Found) -> Path:
        return item.path.parent if out is None else out / item.below

    def stem(item: Found) -> str:
        return "stdin" if item.path == STANDARD else item.path.stem

    plain = [folder(item) / f"{stem(item)}{suffix}" for item in found]
    named = [folder(item) / f"{stem(item)}_{item.path.suffix.removeprefix('.')}{suffix}" for item in found]
    places = [Path(os.path.realpath(item.path)).parent for item in found]
    common = Path(os.path.commonpath(places))
    apart = [
        (out or item.path.parent) / place.relative_to(common) / name.name
        for item, place, name in zip(found, places, named, strict=True)
    ]
    outputs = plain
    for others in (named, apart):
        often = Counter(str(path).casefold() for path in outputs)
        outputs = [
            other if often[str(path).casefold()] > 1 else path for path, other in zip(outputs, others, strict=True)
        ]
    if len({str(path).casefold() for path in outputs}) < len(outputs):
        raise InputError("two of the pictures have the same name", hint="run them one by one with -o")
    return outputs


def _name(place: Path) -> str:
    return "standard output" if place == STANDARD else str(place)
