"""manifest.json: what a bundle holds and what it needs, as a dataclass and as JSON that is checked when it is read."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from toolchain import __version__
from toolchain.errors import BundleError
from toolchain.opencl.gpu import Gpu
from toolchain.precision import INT8, TITLES
from toolchain.report.network import QuantizedTensor
from toolchain.targets import CACHE, Target
from toolchain.tune.values import from_plain

FORMAT = "clipfree-bundle"
FORMAT_VERSION = 2


@dataclass(frozen=True)
class Versions:
    """What a bundle was made with; TVM and its FFI must be the same where it runs."""

    clipfree: str
    tvm: str
    tvm_ffi: str

    @staticmethod
    def installed() -> Versions:
        """Those of this machine, read without importing TVM; "none" for what is not installed."""
        return Versions(__version__, _installed("apache-tvm"), _installed("apache-tvm-ffi"))


@dataclass(frozen=True)
class IntegerCoverage:
    """How much of a network runs as integer kernels."""

    convolutions: int
    integer_convolutions: int
    macs: float
    integer_macs: float
    float_operators: tuple[str, ...]

    @property
    def share(self) -> float:
        """Integer share of all MACs, 0..1."""
        return self.integer_macs / self.macs if self.macs else 1.0

    def __str__(self) -> str:
        text = f"{self.integer_convolutions}/{self.convolutions} convolutions, {100 * self.share:.1f} % of MACs"
        return text + (f"; float: {', '.join(self.float_operators)}" if self.float_operators else "")


@dataclass(frozen=True)
class TunedCoverage:
    """How much of a network's arithmetic runs in kernels whose tiles were found by tuning.

    Attributes:
        kernels, macs: all of it.
        tuned_kernels, tuned_macs: in tuned kernels.
        estimated_kernels: those of the tuned kernels that were not timed: cost models chose.
    """

    kernels: int
    tuned_kernels: int
    macs: float
    tuned_macs: float
    estimated_kernels: int = 0

    @property
    def share(self) -> float:
        """Tuned share of all MACs, 0..1."""
        return self.tuned_macs / self.macs if self.macs else 1.0

    def __str__(self) -> str:
        text = f"{self.tuned_kernels}/{self.kernels} kernels, {100 * self.share:.0f} % of MACs"
        if not self.estimated_kernels:
            return text
        which = "" if self.estimated_kernels == self.tuned_kernels else f"{self.estimated_kernels} of them "
        return f"{text} ({which}by static cost, not timed)"


@dataclass(frozen=True)
class FileRecord:
    """A file of the bundle: bytes and SHA-256 in hexadecimal."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """Everything that must be known before the library may be loaded.

    Attributes:
        name: of the model.
        versions: what made the bundle.
        target: what it was compiled for, CPU features included.
        library: the shared object's file name; for an OpenCL device, the launch plan's.
        entry: its function: u8 (h, w, channels) to u8 (h*scale, w*scale, channels).
        channels: 1 (luma) or 3 (RGB).
        scale: output pixels per input pixel and direction.
        value_range: what the float network's 0..255 pixels were: (0, 1) or (0, 255).
        halo: receptive-field radius in input pixels.
        macs_per_pixel: multiply-accumulates per input pixel.
        workspace_per_pixel: bytes of working memory per input pixel, input and output included.
        line_buffers: bytes that each thread needs for the rows between its kernels, for an input 1920 pixels wide; 0 if
            the network runs layer by layer, on whole tensors.
        precision: "int8", "float32" or "float16".
        coverage: of the arithmetic by integer kernels; a float network's float operators are those left to the
            compiler.
        tuned: of the arithmetic by tuned kernels.
        kernels: the names of the compiled functions.
        tensors: the quantized activations.
        files: every other file, by its name with forward slashes.
    """

    name: str
    versions: Versions
    target: Target
    library: str
    entry: str
    channels: int
    scale: int
    value_range: tuple[float, float]
    halo: int
    macs_per_pixel: float
    workspace_per_pixel: float
    line_buffers: int
    precision: str
    coverage: IntegerCoverage
    tuned: TunedCoverage
    kernels: tuple[str, ...]
    tensors: tuple[QuantizedTensor, ...]
    files: Mapping[str, FileRecord]

    @property
    def arithmetic(self) -> str:
        """Which kernels compute how much, and how much of it is tuned, for people."""
        if self.precision == INT8:
            estimated = "; the others are cut by estimate" if self.target.gpu and self.tuned.share < 1 else ""
            return f"integer coverage: {self.coverage}; tuned: {self.tuned}{estimated}"
        text = f"{self.precision} kernels: {len(self.kernels)}/{self.coverage.convolutions} convolutions"
        others = self.coverage.float_operators
        return text + (f"; left to the compiler: {', '.join(others)}" if others else "")

    def to_json(self) -> bytes:
        """The same bytes for the same content; a checksum over the rest shows accidental changes."""
        body = {"format": FORMAT, "format_version": FORMAT_VERSION, **dataclasses.asdict(self)}
        return _dump({**body, "checksum": _checksum(body)})


def parse_manifest(data: bytes, where: str) -> Manifest:
    """Read manifest.json; ``where`` names the bundle in messages.

    Raises:
        BundleError: damaged, not a bundle's manifest, or of another format version.
    """
    try:
        table = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BundleError(
            f"{where} is damaged: its manifest.json is not JSON", hint="deploy the model again"
        ) from error
    if not isinstance(table, dict) or table.get("format") != FORMAT:
        raise BundleError(f"{where} is not a clipfree bundle: its manifest.json is of another program")
    version = table.get("format_version")
    if not isinstance(version, int) or version != FORMAT_VERSION:
        age = "newer" if isinstance(version, int) and version > FORMAT_VERSION else "older"
        hint = "update clipfree" if age == "newer" else "deploy the model again"
        raise BundleError(f"{where} has format {version}, {age} than format {FORMAT_VERSION} read here", hint=hint)
    checksum = table.pop("checksum", None)
    if checksum != _checksum(table):
        raise BundleError(f"{where} is damaged: its manifest.json was changed", hint="deploy the model again")
    try:
        return _manifest(table)
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"{where} is damaged: its manifest.json lacks or garbles {error}") from error


def _manifest(table: dict[str, Any]) -> Manifest:
    target, coverage, tuned = table["target"], table["coverage"], table["tuned"]
    low, high = (_number(value) for value in table["value_range"])
    manifest = Manifest(
        name=_text(table["name"]),
        versions=Versions(*(_text(table["versions"][key]) for key in ("clipfree", "tvm", "tvm_ffi"))),
        target=Target(
            name=_text(target["name"]), description=_text(target["description"]), triple=_text(target["triple"]),
            cpu=_text(target["cpu"]), attributes=_all(_text, target["attributes"]),
            instruction_set=_text(target["instruction_set"]), requires=_all(_text, target["requires"]),
            cores=_count(target["cores"]), cache=_count(target.get("cache", CACHE)),
            gpu=None if target.get("gpu") is None else from_plain(Gpu, target["gpu"]),
        ),
        library=_text(table["library"]),
        entry=_text(table["entry"]),
        channels=_count(table["channels"]),
        scale=_count(table["scale"]),
        value_range=(low, high),
        halo=_count(table["halo"], least=0),
        macs_per_pixel=_number(table["macs_per_pixel"]),
        workspace_per_pixel=_number(table["workspace_per_pixel"]),
        line_buffers=_count(table["line_buffers"], least=0),
        precision=_precision(table["precision"]),
        coverage=IntegerCoverage(
            _count(coverage["convolutions"], least=0), _count(coverage["integer_convolutions"], least=0),
            _number(coverage["macs"]), _number(coverage["integer_macs"]),
            _all(_text, coverage["float_operators"]),
        ),
        tuned=TunedCoverage(
            _count(tuned["kernels"], least=0), _count(tuned["tuned_kernels"], least=0),
            _number(tuned["macs"]), _number(tuned["tuned_macs"]), _count(tuned.get("estimated_kernels", 0), least=0),
        ),
        kernels=_all(_text, table["kernels"]),
        tensors=_all(lambda t: QuantizedTensor(_text(t["name"]), _count(t["channels"], least=0), _number(t["scale"]),
                                               _count(t["zero_point"], least=0), _count(t.get("bits", 8))),
                     table["tensors"]),
        files={_file_name(name): FileRecord(_count(record["size"], least=0), _text(record["sha256"]))
               for name, record in table["files"].items()},
    )  # fmt: skip
    if manifest.library not in manifest.files or manifest.channels not in (1, 3):
        raise ValueError("library or channels")
    return manifest


def _file_name(name: str) -> str:
    """A name that stays inside the bundle.

    Raises:
        BundleError: it is absolute, climbs out, or is not in its shortest form.
    """
    parts = _text(name).split("/")
    if "\\" in name or "\0" in name or ":" in name or any(part in ("", ".", "..") for part in parts):
        raise BundleError(f"the bundle names a file outside of itself: {name!r}", hint="do not use it")
    return name


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a text (found {value!r})")
    return value


def _precision(value: Any) -> str:
    if value not in TITLES:
        raise ValueError(f"a precision (found {value!r})")
    return str(value)


def _number(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"a number (found {value!r})")
    return float(value)


def _count(value: Any, *, least: int = 1) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"a count (found {value!r})")
    return value


def _all(read: Callable[[Any], Any], values: Any) -> tuple[Any, ...]:
    if not isinstance(values, list):
        raise TypeError(f"a list (found {values!r})")
    return tuple(read(value) for value in values)


def _checksum(table: Mapping[str, Any]) -> str:
    return hashlib.sha256(_dump(table)).hexdigest()


def _dump(table: Mapping[str, Any]) -> bytes:
    return (json.dumps(table, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def _installed(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "none"
