"""manifest.json: what a bundle holds and what it needs, as a dataclass and as JSON that is checked when it is read."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

from toolchain.images.geometry import Geometry
from toolchain.images.metrics import Loss
from toolchain.images.scale import Scale
from toolchain.reference.tensor import QuantizedTensor
from toolchain.schedules.coverage import TunedCoverage
from toolchain.support.errors import BundleError
from toolchain.support.serialization import Between, Count, Finite, OneOf, from_plain, parse_json
from toolchain.support.versions import Versions
from toolchain.targets import ARCHITECTURES, Target, architecture
from toolchain.targets.precision import FLOAT16, FLOAT32, INT8

FORMAT = "clipfree-bundle"
FORMAT_VERSION = 2

Side: TypeAlias = Annotated[int, Between(1, 1 << 13)]
"""Of a picture that must be at least so large."""


@dataclass(frozen=True)
class IntegerCoverage:
    """How much of a network runs as integer kernels."""

    convolutions: Count
    integer_convolutions: Count
    macs: Finite
    integer_macs: Finite
    float_operators: tuple[str, ...]

    @property
    def share(self) -> float:
        """Integer share of all MACs, 0..1."""
        return self.integer_macs / self.macs if self.macs else 1.0

    def __str__(self) -> str:
        text = f"{self.integer_convolutions}/{self.convolutions} convolutions, {100 * self.share:.1f} % of MACs"
        return text + (f"; float: {', '.join(self.float_operators)}" if self.float_operators else "")


@dataclass(frozen=True)
class FileRecord:
    """A file of the bundle: bytes and SHA-256 in hexadecimal."""

    size: Count
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
        scale: output pixels per input pixel and direction: a number, or a fraction such as "3/2".
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
        loss: of the integer network against the float one; None where the latter is not known, or is what was built.
        unit: of how many pixels the sides of the network's pictures are multiples: others are extended by copies of
            their last row and column, and the result is cut to size.
        smallest: height and width of the smallest picture of which the network leaves something; smaller ones are
            refused.
        weights: how many bits they have, for people; empty where all have 8, or are floats.
    """

    name: str
    versions: Versions
    target: Target
    library: str
    entry: str
    channels: Annotated[int, OneOf((1, 3))]
    scale: Scale
    value_range: tuple[Finite, Finite]
    halo: Count
    macs_per_pixel: Finite
    workspace_per_pixel: Finite
    line_buffers: Count
    precision: Annotated[str, OneOf((INT8, FLOAT32, FLOAT16))]
    coverage: IntegerCoverage
    tuned: TunedCoverage
    kernels: tuple[str, ...]
    tensors: tuple[QuantizedTensor, ...]
    files: Mapping[str, FileRecord]
    loss: Loss | None = None
    unit: Annotated[int, Between(1, 64)] = 1
    smallest: tuple[Side, Side] = (1, 1)
    weights: str = ""

    @property
    def geometry(self) -> Geometry:
        """Of the pictures that the network takes and makes."""
        return Geometry(self.channels, self.scale, self.unit, self.smallest, self.halo)

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
        """Return the same bytes for the same content; a checksum over the rest shows accidental changes."""
        body = {"format": FORMAT, "format_version": FORMAT_VERSION, **dataclasses.asdict(self)}
        return _dump({**body, "checksum": _checksum(body)})


def parse_manifest(data: bytes, where: str) -> Manifest:
    """Read manifest.json; ``where`` names the bundle in messages.

    Raises:
        BundleError: damaged, not a bundle's manifest, or of another format version.
    """
    hint = "deploy the model again"
    try:
        table = parse_json(data)
    except ValueError as error:
        raise BundleError(f"{where} is damaged: its manifest.json {error}", hint=hint) from error
    if not isinstance(table, dict) or table.get("format") != FORMAT:
        raise BundleError(f"{where} is not a clipfree bundle: its manifest.json is of another program")
    version = table.get("format_version")
    if type(version) is not int or version != FORMAT_VERSION:
        if type(version) is not int:
            raise BundleError(f"{where} is damaged: its manifest.json tells no format", hint=hint)
        age = "newer" if version > FORMAT_VERSION else "older"
        raise BundleError(
            f"{where} has format {version}, {age} than format {FORMAT_VERSION} read here",
            hint="update clipfree" if age == "newer" else hint,
        )
    checksum = table.pop("checksum", None)
    if checksum != _checksum(table):
        raise BundleError(f"{where} is damaged: its manifest.json was changed", hint=hint)
    del table["format"], table["format_version"]
    try:
        return _checked(from_plain(Manifest, table))
    except (TypeError, ValueError) as error:
        raise BundleError(
            f"{where} is damaged: its manifest.json lacks or garbles a part: {error}", hint=hint
        ) from error


def _checked(manifest: Manifest) -> Manifest:
    """Return a manifest whose fields have the right types, and can be true.

    Raises:
        ValueError: they cannot.
        BundleError: it names files outside of the bundle.
    """
    low, high = manifest.value_range
    for name in manifest.files:
        _check_file_name(name)
    _demand(manifest.library in manifest.files, f"it holds no {manifest.library!r:.80}")
    _demand(low < high, f"pixels cannot lie between {low} and {high}")
    _demand(architecture(manifest.target.triple) in ARCHITECTURES, f"{manifest.target.triple!r:.80} is not known")
    return manifest


def _demand(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)


def _check_file_name(name: str) -> None:
    """Demand a name that stays inside the bundle.

    Raises:
        BundleError: it is absolute, climbs out, or is not in its shortest form.
    """
    parts = name.split("/")
    if "\\" in name or "\0" in name or ":" in name or any(part in ("", ".", "..") for part in parts):
        raise BundleError(f"the bundle names a file outside of itself: {name!r:.80}", hint="do not use it")


def _checksum(table: Mapping[str, Any]) -> str:
    return hashlib.sha256(_dump(table)).hexdigest()


def _dump(table: Mapping[str, Any]) -> bytes:
    return (json.dumps(table, indent=1, sort_keys=True, allow_nan=False, default=str) + "\n").encode()
