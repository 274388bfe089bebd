"""The bundle as a folder: written wholly or not at all, and checked file by file before any of its code is loaded."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import platform
import stat
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from toolchain.bundle.launches import Launches
from toolchain.bundle.library import INTERFACE, LIBRARY, library_file
from toolchain.bundle.manifest import FileRecord, Manifest, parse_manifest
from toolchain.images.scale import enlarged
from toolchain.support.cpu import Cpu, this_cpu
from toolchain.support.errors import BundleError, ModelError, OutputError, TargetError
from toolchain.support.files import atomic_folder, check_writable
from toolchain.support.serialization import parse_json
from toolchain.support.versions import Versions
from toolchain.targets import architecture, machines, system
from toolchain.targets.elf import Library, check_library, read_library
from toolchain.targets.precision import INT8

if TYPE_CHECKING:
    import onnx


SUFFIX = ".clipfree"
MANIFEST, QDQ, FLOAT = "manifest.json", "model.qdq.onnx", "model.onnx"
PLAN = "opencl/plan.json"
NESTED = "model.nested"
RECIPE, GOLDEN, REPORT = "recipe.json", "golden.npz", "report.json"
PAGE = "report.html"
_LARGEST_MANIFEST, _LARGEST_GOLDEN = 16 * 2**20, 2**28
_NETWORK, _HOST = "__tvm_ffi__library_bin", "__tvm_ffi_main"  # what libraries for CPUs define, and host parts

_HERE = "this machine"

Pixels = npt.NDArray[np.uint8]
T = TypeVar("T")


@dataclass(frozen=True)
class Bundle:
    """An opened bundle: its files had the sizes and checksums that its manifest names."""

    path: Path
    manifest: Manifest

    def check_machine(
        self,
        cpu: Cpu | None = None,
        versions: Versions | None = None,
        *,
        name: str = _HERE,
        target: str = "host",
    ) -> None:
        """See whether a machine can run the bundle, and its library is one, without loading any of its code.

        Args:
            cpu: of the machine; None for this one's.
            versions: of the TVM that is to load the library; None for those installed here, where the library cannot be
                loaded without.
            name: of the machine, for messages.
            target: to deploy for instead, for hints.

        Raises:
            BundleError: another architecture, a missing CPU feature, another version of TVM, or a library that is none.
        """
        cpu = cpu or this_cpu()
        wanted = self.manifest.target
        if wanted.gpu is not None:
            raise BundleError(
                f"{self.path} holds OpenCL kernels, no library for a CPU",
                hint="run them with --device opencl-cpu or --device opencl-gpu",
            )
        self._check_architecture(cpu, name, target)
        missing = wanted.missing_on(cpu)
        if missing:
            message = f"{self.path} was compiled for {wanted.name}: the CPU of {name} lacks {', '.join(missing)}"
            raise BundleError(message, hint=_again(target))
        found = self.check_library(self.manifest.library)
        if versions is not None or INTERFACE not in found.defines:
            self._check_versions(versions or Versions.installed(), name)

    def _check_versions(self, there: Versions, name: str) -> None:
        made = self.manifest.versions
        for package, old, new in (("apache-tvm", made.tvm, there.tvm), ("apache-tvm-ffi", made.tvm_ffi, there.tvm_ffi)):
            if old != new:
                message = f"{self.path} was made with {package} {old}, {name} has {new}"
                raise BundleError(message, hint=f"deploy the model again or `pip install {package}=={old}`")

    def host_library(self, cpu: Cpu, *, name: str) -> Path:
        """Return the library that runs the OpenCL kernels on a machine called ``name`` with this CPU.

        Raises:
            BundleError: the bundle has none, holds no OpenCL kernels, or the machine has another architecture.
        """
        self.check_opencl()
        self._check_architecture(cpu, name, "TARGET")
        if LIBRARY not in self.manifest.files:
            raise BundleError(
                f"{self.path} was made without {LIBRARY}, for want of a C compiler for {self.manifest.target.triple}",
                hint="install one and deploy the model again",
            )
        self.check_library()
        return self.path / LIBRARY

    def model(self) -> onnx.ModelProto:
        """Return the network that the library is held against: quantized as QDQ ONNX, or normalized float ONNX.

        Raises:
            BundleError: the file is not there or cannot be read.
        """
        from toolchain.frontend.load import load_model
        from toolchain.frontend.packed import unpack

        name = QDQ if self.manifest.precision == INT8 else FLOAT
        self._check_named(name)
        try:
            model = load_model(self.path / name)
            unpack(model)
        except ModelError as error:
            raise BundleError(error.message, hint="deploy the model again") from error
        if len(model.graph.input) != 1 or len(model.graph.output) != 1:
            raise BundleError(f"{self.path} holds no {name} of one input and one output", hint="deploy the model again")
        return model

    def golden(self) -> tuple[Pixels, Pixels]:
        """Return a picture u8 (h, w, C), and what the network makes of it, u8 (h*scale, w*scale, C).

        Raises:
            BundleError: the file is not there, cannot be read, or holds something else.
        """
        data = io.BytesIO(self._read(GOLDEN))
        try:
            with zipfile.ZipFile(data) as members:  # a small file may say that it unpacks to all there is
                if sum(member.file_size for member in members.infolist()) > _LARGEST_GOLDEN:
                    raise ValueError("it is too large")
            with np.load(data, allow_pickle=False) as arrays:
                picture, expected = arrays["input"], arrays["output"]
            if not isinstance(picture, np.ndarray) or not isinstance(expected, np.ndarray):
                raise TypeError("it holds no arrays")
        except Exception as error:  # NumPy, zipfile and zlib each have kinds of their own
            raise BundleError(f"{self.path} holds no readable {GOLDEN}") from error
        scale, channels = self.manifest.scale, self.manifest.channels
        height, width = (*picture.shape[:2], 0, 0)[:2]
        fits = (
            picture.size
            and picture.shape == (height, width, channels)
            and expected.shape == (enlarged(height, scale), enlarged(width, scale), channels)
        )
        if not fits or picture.dtype != np.uint8 or expected.dtype != np.uint8:
            raise BundleError(f"{self.path}: {GOLDEN} does not fit the network")
        return picture, expected

    def launches(self) -> Launches:
        """Return what the report expects of the launches on an OpenCL device.

        Raises:
            BundleError: the report is not there, or garbled.
        """
        return self._reported(Launches.of)

    def tiles(self) -> dict[str, str]:
        """Return what the report says of the tile of each kernel; nothing where kernels have none.

        Raises:
            BundleError: the report is not there, or garbled.
        """
        return self._reported(_tiles)

    def spent(self) -> tuple[str, ...]:
        """Return what the report says of the work that was spent on tensors of 16 bits, and why; nothing where nobody
        looked.

        Raises:
            BundleError: the report is not there, or garbled.
        """
        return self._reported(_spent)

    def _reported(self, of: Callable[[dict[str, Any]], T]) -> T:
        """Return what ``of`` takes from the report; it raises TypeError or ValueError where that is garbled."""
        try:
            report = parse_json(self._read(REPORT))
            if not isinstance(report, dict) or not isinstance(report.get("tuning", {}), dict):
                raise TypeError("it is no table")
            return of(report)
        except (TypeError, ValueError) as error:
            raise BundleError(f"{self.path} holds no readable {REPORT}", hint="deploy the model again") from error

    def check_library(self, name: str | None = None, symbol: str | None = None) -> Library:
        """Read a library of the bundle, of which nothing is loaded: it is whole, for the bundle's target, and ours.

        Args:
            name: of the file; None: of the one that there is.
            symbol: that it must define; None: what all libraries do that are made for the kind of target.

        Raises:
            BundleError: it is something else, in one sentence.
        """
        path = self.path / (name or library_file(self.manifest.target))
        symbol = symbol or (_NETWORK if self.manifest.target.gpu is None else _HOST)
        try:
            check_library(path, self.manifest.target.triple)
            found = read_library(path)
        except TargetError as error:
            raise BundleError(error.message, hint="deploy the model again") from error
        if symbol not in found.defines:
            raise BundleError(f"{path} holds no network of clipfree", hint="deploy the model again")
        return found

    def size(self) -> int:
        """Return bytes of all files but the manifest."""
        return sum(record.size for record in self.manifest.files.values())

    def check_opencl(self) -> None:
        """See that the bundle holds OpenCL kernels.

        Raises:
            BundleError: it holds a library for a CPU.
        """
        if self.manifest.target.gpu is None:
            raise BundleError(
                f"{self.path} holds a library for {self.manifest.target.name}, no OpenCL kernels",
                hint="leave --device away, or deploy for opencl-cpu, mali-g78 or adreno-740",
            )

    def _check_architecture(self, cpu: Cpu, name: str, target: str) -> None:
        triple = self.manifest.target.triple
        its = system(triple)
        if its != "Linux" and (platform.system() != {"macOS": "Darwin"}.get(its, its) or name != _HERE):
            raise BundleError(f"{self.path} is for {its}, {name} runs another system", hint=_again(target))
        if cpu.machine not in machines(triple):
            raise BundleError(
                f"{self.path} is for {architecture(triple)}, {name} is {cpu.machine}", hint=_again(target)
            )

    def _read(self, name: str) -> bytes:
        self._check_named(name)
        return (self.path / name).read_bytes()

    def _check_named(self, name: str) -> None:
        if name not in self.manifest.files:
            raise BundleError(f"{self.path} holds no {name}")


def check_place(path: Path) -> None:
    """See whether a bundle can be written to ``path``: nothing is there, or a bundle to be replaced.

    Raises:
        OutputError: ``path`` is something else than a bundle, or cannot be written.
    """
    check_writable(path, folder=True)
    if path.is_symlink() or (path.exists() and not _replaceable(path)):
        raise OutputError(f"{path} exists and is not a bundle", hint="move it away or choose another place with -o")


@contextlib.contextmanager
def new_bundle(path: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes the bundle ``path`` when the block ends well; replaces only a bundle.

    Raises:
        OutputError: as `check_place`.
    """
    check_place(path)
    with atomic_folder(path) as folder:
        yield folder


def seal(folder: Path, manifest: Manifest) -> Manifest:
    """Record every file of ``folder`` in the manifest and write it beside them; returns the manifest written.

    Raises:
        OSError: the folder cannot be written.
    """
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            files[path.relative_to(folder).as_posix()] = FileRecord(path.stat().st_size, _sha256(path))
    sealed = Manifest(**{**vars(manifest), "files": files})
    (folder / MANIFEST).write_bytes(sealed.to_json())
    return sealed


def open_bundle(path: Path, *, for_this_machine: bool = True, cpu: Cpu | None = None) -> Bundle:
    """Open a bundle and check it: format, list of files, sizes, checksums, and whether this machine can run it.

    Args:
        path: the folder.
        for_this_machine: False to look at a bundle made for another one; ``Bundle.load`` checks in any case.
        cpu: the CPU to check against; default: this machine's.

    Raises:
        BundleError: what is wrong with it, in one sentence.
    """
    manifest_path = path / MANIFEST
    if not path.exists():
        raise BundleError(f"there is no bundle {path}", hint=_meant(path))
    if not path.is_dir():
        raise BundleError(f"{path} is not a bundle: a bundle is a folder", hint=_meant(path))
    if not manifest_path.is_file():
        raise BundleError(f"{path} is not a bundle: it has no {MANIFEST}", hint=_meant(path))
    try:
        if manifest_path.stat().st_size > _LARGEST_MANIFEST:
            raise BundleError(f"{path} is damaged: its {MANIFEST} is too large")
        manifest = parse_manifest(manifest_path.read_bytes(), str(path))
        _check_files(path, manifest)
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror or error}") from error
    bundle = Bundle(path, manifest)
    if for_this_machine:
        bundle.check_machine(cpu)
    return bundle


def _check_files(path: Path, manifest: Manifest) -> None:
    hint = "deploy the model again"
    found = set()
    for folder, folders, files in os.walk(path):
        for name in [*folders, *files]:
            entry = Path(folder, name)
            mode = entry.lstat().st_mode
            relative = entry.relative_to(path).as_posix()
            if stat.S_ISREG(mode):
                found.add(relative)
            elif not stat.S_ISDIR(mode):
                raise BundleError(f"{path} holds {relative}, which is no plain file", hint="do not use it")
    for name, record in manifest.files.items():
        if name not in found:
            raise BundleError(f"{path} is damaged: {name} is missing", hint=hint)
        size = (path / name).stat().st_size
        if size != record.size:
            word = "truncated" if size < record.size else "longer than it was"
            raise BundleError(f"{path} is damaged: {name} is {word} ({size} of {record.size} bytes)", hint=hint)
        if _sha256(path / name) != record.sha256:
            raise BundleError(f"{path} is damaged: {name} was changed (its checksum differs)", hint=hint)
    extra = sorted(found - set(manifest.files) - {MANIFEST})
    if extra:
        raise BundleError(f"{path} holds {extra[0]}, which its manifest does not name", hint="remove that file")


def _replaceable(path: Path) -> bool:
    return path.is_dir() and ((path / MANIFEST).is_file() or not any(path.iterdir()))


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def _meant(path: Path) -> str:
    """Return what to name in place of ``path``: a bundle that lies in it, or one that is yet to be made."""
    if path.suffix in (".onnx", ".tflite") or str(path).startswith("zoo:"):
        return f"deploy it first: `clipfree deploy {path}`"
    inside = sorted(entry for entry in path.iterdir() if entry.suffix == SUFFIX) if path.is_dir() else []
    return f"did you mean {inside[0]}?" if inside else "`clipfree deploy MODEL` makes one"


def _again(target: str) -> str:
    return f"deploy the model again with --target {target}"


def _tiles(report: Mapping[str, Any]) -> dict[str, str]:
    found = report.get("tuning", {}).get("tiles", {})
    if not isinstance(found, dict) or not all(isinstance(tile, str) for tile in found.values()):
        raise TypeError("tiles are texts by name")
    return found


def _spent(report: Mapping[str, Any]) -> tuple[str, ...]:
    found = report.get("calibration", {})
    said = found.get("spent", []) if isinstance(found, dict) else None
    if not isinstance(said, list) or not all(isinstance(line, str) for line in said):
        raise TypeError("what was spent is said in texts")
    return tuple(said)
