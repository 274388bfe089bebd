"""What a file or folder is that is no ONNX model, and how one is made of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_TORCH = (
    "export it in Python: torch.onnx.export(network, torch.rand(1, 3, 64, 64), 'model.onnx', "
    "input_names=['x'], dynamic_axes={'x': {2: 'height', 3: 'width'}})"
)
_EXPORT = "export the network to ONNX first"


@dataclass(frozen=True)
class Kind:
    """What something is, to be read after "it looks like ", and what to do with it."""

    name: str
    hint: str


def _convert(option: str, source: str) -> str:
    return f"convert it: python -m tf2onnx.convert --{option} {source} --output model.onnx"


_STARTS: tuple[tuple[bytes, Kind], ...] = (
    (
        b"version https://git-lfs",
        Kind("a Git LFS pointer, which stands for a file that was not fetched", "fetch the file itself: git lfs pull"),
    ),
    (b"\x89PNG", Kind("a PNG picture", "name an .onnx file")),
    (b"\xff\xd8\xff", Kind("a JPEG picture", "name an .onnx file")),
    (b"\x89HDF", Kind("an HDF5 file, as Keras writes it", _convert("keras", "model.h5"))),
    (b"\x80\x02", Kind("pickled Python", _TORCH)),
    (b"7767517", Kind("an ncnn model", "give the ONNX model that it was made from")),
    (b"\x7fELF", Kind("a program or library", "name an .onnx file")),
)
_ZIPS: tuple[tuple[bytes, Kind], ...] = (
    (b"data.pkl", Kind("a PyTorch checkpoint", _TORCH)),
    (b"model.weights.h5", Kind("a Keras model", _convert("keras", "model.keras"))),
    (b".onnx", Kind("a zip archive with an ONNX model in it", "unpack it first")),
)


def kind_of(data: bytes) -> Kind:
    """Return what a file that is not ONNX looks like; a nameless kind if nothing is known of it."""
    for start, kind in _STARTS:
        if data.startswith(start):
            return kind
    if data[4:8] == b"ORTM":
        return Kind("a model in onnxruntime's own format", "give the .onnx file that it was made from")
    if data.startswith(b"PK"):
        return next((kind for mark, kind in _ZIPS if mark in data), Kind("a zip archive", _EXPORT))
    if data.lstrip()[:5] == b"<?xml":
        return Kind("XML, as OpenVINO writes it", "give the ONNX model that it was made from")
    if data[:256].isascii() and b"\x00" not in data[:256]:
        return Kind("text", _EXPORT)
    return Kind("", _EXPORT)


def folder_kind(folder: Path) -> Kind:
    """Return what a folder is that was given in place of a model, to be read after "is "."""
    has: Callable[[str], bool] = lambda name: (folder / name).exists()  # noqa: E731
    if has("saved_model.pb"):
        return Kind("a folder with a TensorFlow SavedModel", _convert("saved-model", str(folder)))
    if has("manifest.json"):
        return Kind("a folder with a bundle, which is deployed already", "name the .onnx file that it was made from")
    models = sorted(folder.glob("*.onnx"))
    hint = f"did you mean {models[0]}?" if len(models) == 1 else "name an .onnx file"
    return Kind("a folder", hint)
