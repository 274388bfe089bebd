"""A cache of quantized networks: the same model, photographs, settings and code give the same network again."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import os
import platform
import sys
import zipfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime

import toolchain
from toolchain.images.metrics import Loss
from toolchain.quantize.quantized import QuantizedModel
from toolchain.quantize.recipe import Recipe
from toolchain.support.cache import Cache, cache_folder
from toolchain.support.cpu import this_cpu
from toolchain.support.serialization import from_plain, parse_json

if TYPE_CHECKING:
    from toolchain.frontend import SRModel
    from toolchain.images import ImageSet
    from toolchain.quantize.settings import Settings

_ROOM = 256 * 2**20
_QUANTIZED, _BALANCED, _NESTED, _FACTS = "quantized.onnx", "balanced.onnx", "model.nested", "facts.json"


@dataclass(frozen=True, eq=False)
class CachedNetwork:
    """What quantizing comes to: the network, its loss against the float one, and what is to be said about that."""

    model: QuantizedModel
    loss: Loss
    doubts: tuple[str, ...]


@dataclass(frozen=True)
class CacheEntry:
    """Where one network, made of certain things, is kept or will be."""

    cache: Cache
    key: str

    def read(self, sr: SRModel) -> CachedNetwork | None:
        """Return the network that was made of the float network ``sr``; None if none is kept."""
        data = self.cache.read(self.key)
        if data is None:
            return None
        try:
            return _unpacked(data, sr)
        except (ValueError, TypeError, KeyError, zipfile.BadZipFile):  # of code that was changed while it ran
            self.cache.remove(self.key)
            return None

    def write(self, made: CachedNetwork) -> None:
        """Keep a network, if that is possible."""
        self.cache.write(self.key, _packed(made))


def entry_for(sr: SRModel, photos: ImageSet, settings: Settings) -> CacheEntry:
    """Return where what ``settings`` make of the float network ``sr`` on photographs is kept."""
    chosen = json.dumps(asdict(settings), sort_keys=True)
    facts = json.dumps([sr.name, sr.channels, str(sr.scale), sr.value_range, sr.halo, sr.changes, photos.names, chosen])
    parts = [code_digest().encode(), sr.model.SerializeToString(deterministic=True), facts.encode()]
    for pixels in photos.images:
        parts += [repr(pixels.shape).encode(), np.ascontiguousarray(pixels).tobytes()]
    return CacheEntry(Cache(networks_folder(), _ROOM), _digest(parts))


def networks_folder() -> Path:
    """Return the folder of them all: ``$CLIPFREE_CACHE``, or one in the user's cache."""
    return Path(os.environ.get("CLIPFREE_CACHE") or cache_folder() / "quantized")


def _digest(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()


@functools.cache
def code_digest() -> str:
    """Return the digest of all that computes here: this package, those it calls, and the processor, on whose
    instructions the last bits of floats depend.
    """
    folder = Path(toolchain.__file__).parent
    files = sorted(folder.rglob("*.py"))
    sources = [part for path in files for part in (str(path.relative_to(folder)).encode(), path.read_bytes())]
    versions = [sys.version, np.__version__, onnx.__version__, onnxruntime.__version__, platform.platform()]
    cpu = this_cpu()
    return _digest([*sources, *(word.encode() for word in (*versions, cpu.name, *sorted(cpu.features)))])


def _packed(made: CachedNetwork) -> bytes:
    balanced = made.model.balanced
    facts = {
        "recipe": json.loads(made.model.recipe.to_json()),
        "changes": list(balanced.changes) if balanced else None,
        "loss": asdict(made.loss),
        "doubts": list(made.doubts),
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as file:
        file.writestr(_QUANTIZED, made.model.model.SerializeToString(deterministic=True))
        if balanced:
            file.writestr(_BALANCED, balanced.model.SerializeToString(deterministic=True))
        if made.model.nested:
            file.writestr(_NESTED, made.model.nested)
        file.writestr(_FACTS, json.dumps(facts))
    return buffer.getvalue()


def _unpacked(data: bytes, sr: SRModel) -> CachedNetwork:
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        facts = parse_json(file.read(_FACTS))
        model = onnx.load_model_from_string(file.read(_QUANTIZED))
        balanced = None
        if facts["changes"] is not None:
            float_model = onnx.load_model_from_string(file.read(_BALANCED))
            balanced = replace(sr, model=float_model, changes=tuple(facts["changes"]))
        nested = file.read(_NESTED) if _NESTED in file.namelist() else b""
    settings = facts["recipe"].pop("settings")
    recipe = replace(from_plain(Recipe, {**facts["recipe"], "settings": {}}), settings=settings)
    quantized = QuantizedModel(
        model, recipe, sr.name, sr.channels, sr.scale, sr.value_range, sr.clip, sr.halo, balanced, nested
    )
    return CachedNetwork(quantized, from_plain(Loss, facts["loss"]), tuple(facts["doubts"]))
