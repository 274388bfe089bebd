"""What stands on the command line in place of files, looked at before any work is done for it."""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from toolchain.support.errors import InputError

Inputs = Annotated[
    list[str] | None,
    typer.Option(
        "--input", help="NAME=NUMBER: what an input beside the picture is (a noise level); several times for several."
    ),
]


def parse_inputs(words: Sequence[str] | None) -> dict[str, float]:
    """Return the numbers that the words of --input name.

    Raises:
        InputError: one is not understood.
    """
    found: dict[str, float] = {}
    for word in words or ():
        name, _, text = word.rpartition("=")
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not name or not math.isfinite(number):
            raise InputError(f"--input {word} is not understood", hint="say NAME=NUMBER")
        found[name] = number
    return found


def check_pictures(path: Path | None, option: str) -> None:
    """See whether the value of ``option`` (such as "--calib") may be pictures: a folder, or a file; None is neither.

    Raises:
        InputError: it is not there, cannot be reached, or is something else.
    """
    if path is None:
        return
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):  # the last one of NUL
        raise InputError(f"there is no folder {path}", hint=f"{option} names a folder of pictures") from None
    except OSError as error:
        raise InputError(
            f"{path} cannot be reached: {error.strerror or error}", hint=f"{option} names a folder of pictures"
        ) from error
    if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
        raise InputError(f"{path} is neither a folder nor a file", hint=f"{option} names a folder of pictures")
