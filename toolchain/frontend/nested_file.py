"""Files of nested networks: bit planes of weights, most significant first, so that a file's beginning is a network too.

``CFNESTED``, the header's length (4 bytes, little-endian) and SHA-256, the header as JSON; then the network as ONNX
without its weights and biases, packed by zlib; then a part for each member, that of the fewest bits first. A part holds
the bit planes that its member has more than the one before (each of all layers, bits of eight weights in a byte, the
first in the highest) and after them its own biases, int32. A file may end after any part.
"""

from __future__ import annotations

import hashlib
import json
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Final, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from toolchain.frontend.nested_bits import FEWEST, MOST, Nesting, is_falling
from toolchain.support.errors import ModelError
from toolchain.support.serialization import Between, from_plain, parse_json

FORMAT, FORMAT_VERSION = "clipfree-nested", 1
MAGIC: Final = b"CFNESTED"
_HEAD = len(MAGIC) + 4 + 32
_LARGEST_HEADER, _LARGEST_NETWORK = 1 << 20, 1 << 26
_DAMAGED = "copy it again, or deploy the float model again with --bits-nested"

_BITS_KEY: Final = "clipfree.weight_bits"

Size: TypeAlias = Annotated[int, Between(1, 1 << 28)]
"""Of something in the file."""
Constants: TypeAlias = Mapping[str, onnx.TensorProto]


@dataclass(frozen=True)
class NestedLayer:
    """A convolution: its weights' name and shape, and how many biases it has."""

    name: str
    shape: tuple[Size, ...]
    biases: Size

    @property
    def count(self) -> int:
        """How many weights there are."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class NestedPart:
    """What a member has more than the one of fewer bits: its bits, bytes and SHA-256 in hexadecimal."""

    bits: Annotated[int, Between(FEWEST, MOST)]
    size: Size
    sha256: str


@dataclass(frozen=True)
class NestedHeader:
    """What lies in a file.

    Attributes:
        name: of the network.
        packed: bytes of the network without weights and biases.
        unpacked: of the same, as ONNX.
        sha256: of its packed bytes.
        layers: in the order in which their weights and biases lie in a part.
        parts: of the members, fewest bits first.
    """

    name: str
    packed: Size
    unpacked: Annotated[int, Between(1, _LARGEST_NETWORK)]
    sha256: str
    layers: tuple[NestedLayer, ...]
    parts: tuple[NestedPart, ...]

    @property
    def nesting(self) -> Nesting:
        """The members."""
        return Nesting(tuple(part.bits for part in reversed(self.parts)))

    def planes(self, place: int) -> int:
        """Return how many bit planes a part holds."""
        return self.parts[place].bits - (self.parts[place - 1].bits if place else 0)

    def expected(self, place: int) -> int:
        """Return the bytes that a part must have."""
        plane = -(-sum(layer.count for layer in self.layers) // 8)
        return self.planes(place) * plane + 4 * sum(layer.biases for layer in self.layers)


@dataclass(frozen=True)
class NestedFile:
    """A file that was checked.

    Attributes:
        header: of the file.
        begin: where the network begins.
        data: all of the file.
        held: the members that it holds, fewest bits first; not all where it was cut.
    """

    header: NestedHeader
    begin: int
    data: bytes
    held: tuple[int, ...]

    def prefix(self, bits: int) -> bytes:
        """Return the beginning of the file that is the member of ``bits``.

        Raises:
            ModelError: it holds no such member.
        """
        if bits not in self.held:
            has = ", ".join(str(held) for held in reversed(self.held))
            raise ModelError(f"the file has no member of {bits} bits", hint=f"it has {has}")
        return self.data[: _end(self.header, self.begin, self.held.index(bits))]

    def model(self, bits: int) -> onnx.ModelProto:
        """Return a member as canonical QDQ.

        Raises:
            ModelError: the file holds no such member, or speaks of weights that its network does not have.
        """
        self.prefix(bits)
        network = self._network()
        constants = {item.name: item for item in network.graph.initializer}
        shift = self.header.nesting.shift(bits)
        biases = self._biases(self.held.index(bits))
        codes = self.header.nesting.of_planes(self._planes(bits), bits)
        first = 0
        for layer in self.header.layers:
            _store(constants, f"{layer.name}_quantized", codes[first : first + layer.count].reshape(layer.shape))
            first += layer.count
            _store(constants, f"{layer.name}_bias_quantized", biases[: layer.biases])
            biases = biases[layer.biases :]
            for name in (f"{layer.name}_scale", f"{layer.name}_bias_scale"):
                _widen(constants, name, shift)
        return network

    def _network(self) -> onnx.ModelProto:
        packed = self.data[self.begin : self.begin + self.header.packed]
        unpacker = zlib.decompressobj()
        try:
            data = unpacker.decompress(packed, self.header.unpacked)
            if len(data) != self.header.unpacked or not unpacker.eof:
                raise ValueError("it is of another size")
            return onnx.ModelProto.FromString(data)
        except Exception as error:  # zlib and protobuf have kinds of their own
            raise _garbled("its network cannot be read") from error

    def _part(self, place: int) -> bytes:
        end = _end(self.header, self.begin, place)
        return self.data[end - self.header.parts[place].size : end]

    def _planes(self, bits: int) -> NDArray[np.uint8]:
        count = sum(layer.count for layer in self.header.layers)
        found = []
        for place in range(self.held.index(bits) + 1):
            data = np.frombuffer(self._part(place), np.uint8)
            width = -(-count // 8)
            rows = data[: self.header.planes(place) * width].reshape(-1, width)
            found.append(np.unpackbits(rows, axis=1, count=count))
        return np.concatenate(found)

    def _biases(self, place: int) -> NDArray[np.int32]:
        data = self._part(place)
        count = sum(layer.biases for layer in self.header.layers)
        return np.frombuffer(data, "<i4", offset=len(data) - 4 * count).astype(np.int32)


def write_nested(members: Mapping[int, onnx.ModelProto], names: Sequence[str]) -> bytes:
    """Return a file of networks.

    Args:
        members: canonical QDQ by their bits, alike but for what the bits decide: codes that are the first's sliced,
            scales in steps of theirs, and biases.
        names: of the convolutions' weights.

    Raises:
        ModelError: they differ in more.
    """
    nesting = Nesting(tuple(sorted(members, reverse=True)))
    constants = {bits: {item.name: item for item in model.graph.initializer} for bits, model in members.items()}
    first = constants[nesting.bits[0]]
    layers, codes = [], []
    for name in names:
        weight = numpy_helper.to_array(first[f"{name}_quantized"])
        layers.append(NestedLayer(name, weight.shape, len(numpy_helper.to_array(first[f"{name}_bias_quantized"]))))
        codes.append(weight.ravel())
    planes = nesting.planes(np.concatenate(codes))
    parts, done = [], 0
    for bits in reversed(nesting.bits):
        own = np.packbits(planes[done:bits], axis=1).tobytes()
        steps = [numpy_helper.to_array(constants[bits][f"{name}_bias_quantized"]).astype("<i4") for name in names]
        parts.append(own + b"".join(step.tobytes() for step in steps))
        done = bits
    network = onnx.ModelProto.FromString(members[nesting.bits[0]].SerializeToString())
    emptied = {f"{name}_{kind}" for name in names for kind in ("quantized", "bias_quantized")}
    for item in network.graph.initializer:
        if item.name in emptied:
            item.ClearField("raw_data")
    plain = network.SerializeToString(deterministic=True)
    packed = zlib.compress(plain, 9)
    records = tuple(
        NestedPart(bits, len(part), _sha256(part)) for bits, part in zip(reversed(nesting.bits), parts, strict=True)
    )
    header = NestedHeader(network.graph.name, len(packed), len(plain), _sha256(packed), tuple(layers), records)
    body = {"format": FORMAT, "format_version": FORMAT_VERSION, **asdict(header)}
    written = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
    head = MAGIC + len(written).to_bytes(4, "little") + hashlib.sha256(written).digest()
    data = b"".join([head, written, packed, *parts])
    _check_alike(data, members)
    return data


def read_nested(data: bytes, where: str) -> NestedFile:
    """Check a file, whole or cut after the part of one of its members; ``where`` names it in messages.

    Raises:
        ModelError: it is damaged, cut elsewhere, or of another version.
    """
    try:
        return _read(data)
    except ModelError as error:
        raise ModelError(f"{where}: {error.message}", hint=error.hint) from error


def with_bits(model: onnx.ModelProto, bits: int) -> onnx.ModelProto:
    """Return the model, changed in place, with how many bits its weights have among what is said of it."""
    model.metadata_props.add(key=_BITS_KEY, value=str(bits))
    return model


def stated_bits(model: onnx.ModelProto) -> int | None:
    """Return how many bits a model's weights have, as `with_bits` says it; None where nothing, or nonsense, is said."""
    said = next((item.value for item in model.metadata_props if item.key == _BITS_KEY), "")
    return int(said) if said in {str(bits) for bits in range(FEWEST, MOST + 1)} else None


def _read(data: bytes) -> NestedFile:
    size = int.from_bytes(data[len(MAGIC) : len(MAGIC) + 4], "little")
    if data[: len(MAGIC)] != MAGIC:
        raise ModelError("this is no nested network", hint="`deploy --bits-nested 8,6,4` makes one")
    if len(data) < _HEAD or size > _LARGEST_HEADER or len(data) < _HEAD + size:
        raise _garbled("its header is cut off, or damaged")
    written = data[_HEAD : _HEAD + size]
    if hashlib.sha256(written).digest() != data[len(MAGIC) + 4 : _HEAD]:
        raise _garbled("its header was changed (its checksum differs)")
    header = _header(written)
    begin = _HEAD + size
    end = begin + header.packed
    _check_bytes(data, begin, end, header.sha256, "network")
    held: list[int] = []
    for place, part in enumerate(header.parts):
        if len(data) == end and held:
            break
        begins, end = end, end + part.size
        _check_cut(header, begin, data, place)
        _check_bytes(data, begins, end, part.sha256, f"part of {part.bits} bits")
        held.append(part.bits)
    if len(data) > end:
        raise _garbled(f"it is longer than it was ({len(data)} of {end} bytes)")
    return NestedFile(header, begin, data, tuple(held))


def _header(written: bytes) -> NestedHeader:
    try:
        table = parse_json(written)
        if not isinstance(table, dict) or table.pop("format", None) != FORMAT:
            raise ValueError("it is of another program")
        version = table.pop("format_version", None)
        if version != FORMAT_VERSION:
            raise ModelError(f"it has format {version}, read here is {FORMAT_VERSION}", hint="update clipfree")
        header = from_plain(NestedHeader, table)
        if not is_falling(header.nesting.bits):
            raise ValueError("its members' bits do not fall")
        if not header.layers or any(p.size != header.expected(place) for place, p in enumerate(header.parts)):
            raise ValueError("its sizes contradict each other")
    except (TypeError, ValueError) as error:
        raise _garbled(f"its header lacks or garbles a part: {error}") from error
    return header


def _check_cut(header: NestedHeader, begin: int, data: bytes, place: int) -> None:
    if len(data) >= _end(header, begin, place):
        return
    ends = [f"{_end(header, begin, index)} of {part.bits} bits" for index, part in enumerate(header.parts)]
    raise ModelError(
        f"it is cut off within its part of {header.parts[place].bits} bits, at {len(data)} bytes",
        hint=f"beginnings that are networks have so many bytes: {', '.join(ends)}",
    )


def _check_bytes(data: bytes, begin: int, end: int, digest: str, what: str) -> None:
    if len(data) < end:
        raise _garbled(f"its {what} is cut off")
    if _sha256(data[begin:end]) != digest:
        raise _garbled(f"its {what} was changed (its checksum differs)")


def _check_alike(data: bytes, members: Mapping[int, onnx.ModelProto]) -> None:
    found = read_nested(data, "the file")
    for bits, model in members.items():
        if found.model(bits).SerializeToString(deterministic=True) != model.SerializeToString(deterministic=True):
            raise ModelError(f"the network of {bits} bits is none of this nest")


def _store(constants: Constants, name: str, values: NDArray[np.generic]) -> None:
    item = constants.get(name)
    kind = TensorProto.INT8 if values.dtype == np.int8 else TensorProto.INT32
    if item is None or tuple(item.dims) != values.shape or item.data_type != kind:
        raise _garbled(f"its network has no '{name:.80}' of this shape")
    item.raw_data = values.tobytes()


def _widen(constants: Constants, name: str, shift: int) -> None:
    item = constants.get(name)
    if item is None or item.data_type != TensorProto.FLOAT or not item.HasField("raw_data"):
        raise _garbled(f"its network has no scales '{name:.80}'")
    values = np.frombuffer(item.raw_data, "<f4") * np.float32(1 << shift)
    item.raw_data = values.astype("<f4").tobytes()


def _end(header: NestedHeader, begin: int, place: int) -> int:
    return begin + header.packed + sum(part.size for part in header.parts[: place + 1])


def _garbled(what: str) -> ModelError:
    return ModelError(what, hint=_DAMAGED)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
