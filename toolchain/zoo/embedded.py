"""Models that come with the package: found by name, so that a first try needs no file at all."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolchain.support.errors import InputError

PREFIX = "zoo:"


@dataclass(frozen=True)
class Embedded:
    """A model of the package and its card: how it was trained, and what it reaches."""

    name: str
    path: Path
    card: dict[str, Any]


def model_folder() -> Path:
    """Return where the ONNX files and their cards lie."""
    return Path(__file__).resolve().parent / "models"


def list_models(folder: Path | None = None) -> tuple[Embedded, ...]:
    """Return every embedded model, sorted by name; a missing or broken card is an empty one."""
    paths = sorted((folder or model_folder()).glob("*.onnx"))
    return tuple(Embedded(path.stem, path, _card(path.with_suffix(".json"))) for path in paths)


def resolve(model: str, *, folder: Path | None = None) -> Path:
    """Return the file of a model argument: a path as it is, or ``zoo:NAME``.

    Raises:
        InputError: there is no such embedded model, or no such file.
    """
    if not model.startswith(PREFIX):
        if not model:
            raise InputError("a model's name is empty", hint=f"name an .onnx file, or {PREFIX}NAME")
        path = Path(model)
        if not path.exists():
            raise InputError(f"there is no file {path}", hint=_meant(path, folder))
        return path
    return find(model, folder=folder).path


def find(name: str, *, folder: Path | None = None) -> Embedded:
    """Return the embedded model called ``name``, with or without ``zoo:`` in front.

    Raises:
        InputError: there is none of that name.
    """
    name = name.removeprefix(PREFIX)
    models = {embedded.name: embedded for embedded in list_models(folder)}
    if name not in models:
        close = difflib.get_close_matches(name.lower(), models, n=1, cutoff=0.4)
        known = f"there are: {', '.join(sorted(models))}" if models else "none came with this installation"
        hint = f"did you mean {PREFIX}{close[0]}?" if close else known
        raise InputError(f"there is no embedded model called {name!r}", hint=hint)
    return models[name]


def _meant(path: Path, folder: Path | None) -> str:
    """Return a file that is called nearly as ``path``, or an embedded model; empty where there is neither."""
    if path.is_symlink():
        return f"{path} is a link that leads nowhere"
    beside = [other.name for other in path.parent.glob(f"*{path.suffix or '.onnx'}")] if path.parent.is_dir() else []
    close = difflib.get_close_matches(path.name, beside, n=1)
    if close:
        return f"did you mean {path.with_name(close[0])}?"
    names = [model.name for model in list_models(folder)]
    alike = difflib.get_close_matches(path.stem.lower().replace("-", "_"), names, n=1)
    return f"did you mean {PREFIX}{alike[0]}?" if alike else ""


def _card(path: Path) -> dict[str, Any]:
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return card if isinstance(card, dict) else {}
