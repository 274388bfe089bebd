"""Nested networks for who ships them: what a file holds, and its beginning that is a network of fewer bits."""

from __future__ import annotations

from pathlib import Path

from toolchain.bundle import NESTED, open_bundle
from toolchain.frontend.load import MAX_BYTES
from toolchain.frontend.nested_file import NestedFile, read_nested
from toolchain.support.errors import BundleError, ModelError
from toolchain.support.files import atomic_write


def open_nested(path: Path) -> NestedFile:
    """Read the nested networks of a file or a bundle.

    Raises:
        BundleError: a bundle that holds none, or is damaged.
        ModelError: the file is none, or is damaged.
    """
    if path.is_dir():
        bundle = open_bundle(path, for_this_machine=False)
        if NESTED not in bundle.manifest.files:
            raise BundleError(
                f"{path} holds no nested networks", hint="deploy the float model with --bits-nested 8,6,4"
            )
        path = path / NESTED
    try:
        if path.exists() and not path.is_file():
            raise ModelError(f"{path} is not a regular file")
        if path.stat().st_size > MAX_BYTES:
            raise ModelError(f"{path} is larger than {MAX_BYTES >> 20} MB")
        return read_nested(path.read_bytes(), str(path))
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from error


def cut(nested: NestedFile, bits: int, out: Path) -> int:
    """Write the beginning of a file that is the network of ``bits``; returns its bytes.

    Raises:
        ModelError: there is no such network.
        OutputError: the file cannot be written.
    """
    data = nested.prefix(bits)
    with atomic_write(out) as file:
        file.write(data)
    return len(data)
