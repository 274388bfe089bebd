"""Zip archives as PyTorch writes them, looked at without PyTorch.

PyTorch's own loader of exported programs calls whatever function of its packages a program names, evaluates the sizes
that are written as text, and unpickles. So it is given a copy, made of what was looked at here and nothing else.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from typing import Any

MOST_BYTES = 1 << 30
"""Of an archive's files, unpacked."""

_MODEL = "models/model.json"
_SAMPLES = "data/sample_inputs/model.pt"
_PLAIN = re.compile(
    r"\.data/version|byteorder|archive_format|archive_version"
    r"|data/(weights|constants)/((weight|tensor)_\d+|model_(weights|constants)_config\.json)"
)
_PAYLOAD = re.compile(r"(weight|tensor)_\d+")
_OPERATOR = re.compile(
    r"torch\.ops\.(aten|prims|quantized_decomposed)\.\w+(\.\w+)?"
    r"|torch\.ops\.higher_order\.(wrap_with_set_grad_enabled|wrap_with_autocast)"
    r"|torch\.sym_(int|float|max|min|not|ite|sum)|_operator\.[a-z_]+|math\.[a-z]+"
)
_FORBIDDEN = re.compile(r"torch\.ops\.aten\.(from_file|_?import|save)\b|_operator\.(attrgetter|methodcaller|call)")
_SIZE = re.compile(
    r"[a-z]+\d+|'[a-z]+\d+'|[a-z]+=(?:True|False)|[A-Z][A-Za-z]*|int_oo|oo|\d+(?:\.\d+)?|[-+*/%(),<>=&|~ ]"
)
"""What the text of a size is made of: nothing in it has an attribute, or is called that is not SymPy's."""
_TREES = {"builtins.tuple", "builtins.list", "builtins.dict", None}


class UnfitArchiveError(Exception):
    """An archive that PyTorch is not given; says why, to be read after "which "."""


def names(data: bytes) -> tuple[str, ...]:
    """Return the names of the files in a zip archive, without the folder that they all lie in; none if it is none."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            return tuple(name.partition("/")[2] for name in file.namelist())
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
        return ()


def vetted(data: bytes) -> bytes:
    """Return an archive with the same exported program, in which nothing is but numbers, shapes and operators.

    The pictures that it was exported with are left out: they are pickled.

    Raises:
        UnfitArchiveError: it is damaged, or holds what may be more than that.
    """
    files = _unpacked(data)
    model = _parsed(files, _MODEL)
    for key in ("weights", "constants"):
        _check_payloads(_parsed(files, f"data/{key}/model_{key}_config.json"))
    _check_program(model)
    kept = {name: content for name, content in files.items() if _PLAIN.fullmatch(name)}
    kept |= {_MODEL: json.dumps(model).encode(), _SAMPLES: b""}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as file:
        for name, content in kept.items():
            file.writestr(f"program/{name}", content)
    return buffer.getvalue()


def _unpacked(data: bytes) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            if sum(info.file_size for info in file.infolist()) > MOST_BYTES:
                raise UnfitArchiveError(f"holds more than {MOST_BYTES >> 20} MB")
            return {info.filename.partition("/")[2]: file.read(info) for info in file.infolist()}
    except (zipfile.BadZipFile, ValueError, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        raise UnfitArchiveError("is damaged") from error


def _parsed(files: dict[str, bytes], name: str) -> Any:
    if name not in files:
        raise UnfitArchiveError(f"lacks its '{name}': one program called 'model' is what torch.export.save writes")
    try:
        return json.loads(files[name])
    except (ValueError, RecursionError) as error:
        raise UnfitArchiveError(f"has a damaged '{name}'") from error


def _check_payloads(config: Any) -> None:
    entries = config.get("config") if isinstance(config, dict) else None
    if not isinstance(entries, dict):
        raise UnfitArchiveError("has a damaged list of its weights")
    for name, entry in entries.items():
        place = str(entry.get("path_name")) if isinstance(entry, dict) else ""
        if not _PAYLOAD.fullmatch(place) or entry.get("use_pickle"):
            raise UnfitArchiveError(f"holds '{name}', which is a Python object and no plain tensor")


def _check_program(model: Any) -> None:
    """Refuse calls of what is no operator; drop what only helps in debugging, and what is compiled as Python."""
    if not isinstance(model, dict):
        raise UnfitArchiveError("has no graph")
    model["guards_code"] = []
    for found in _objects(model):
        if "metadata" in found and "target" in found:
            found["metadata"] = {}
        for key in ("target", "as_operator"):
            called = found.get(key)
            if isinstance(called, str) and (not _OPERATOR.fullmatch(called) or _FORBIDDEN.match(called)):
                raise UnfitArchiveError(f"calls {called[:80]!r}, which is no operator of a network")
        for key in ("expr_str", "in_spec", "out_spec"):
            text = found.get(key)
            if isinstance(text, str):
                _check_text(key, text)


def _check_text(key: str, text: str) -> None:
    if key == "expr_str":
        if len(text) > 1000 or _SIZE.sub("", text):
            raise UnfitArchiveError(f"has a size {text[:40]!r}, which is no number")
        return
    try:
        spec = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnfitArchiveError("has a damaged list of its inputs") from error
    for found in _objects(spec):
        if found.get("type") not in _TREES:
            raise UnfitArchiveError(f"takes or gives a {str(found.get('type'))[:80]}, and no plain tensors")


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every JSON object in ``value``, at any depth."""
    stack = [value]
    while stack:
        top = stack.pop()
        if isinstance(top, dict):
            yield top
            stack.extend(top.values())
        elif isinstance(top, list):
            stack.extend(top)
