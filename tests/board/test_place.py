"""What a user may type to name a board."""

from __future__ import annotations

import pytest

from toolchain.board.place import Address, Place, parse_address, parse_place
from toolchain.support.errors import InputError


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("pi:8000", Address("pi", 8000)),
        ("pi", Address("pi", 9090)),
        ("192.168.0.7", Address("192.168.0.7", 9090)),
        ("[::1]:77", Address("::1", 77)),
    ],
)
def test_addresses(text: str, address: Address):
    assert parse_address(text, "--rpc", 9090) == address


@pytest.mark.parametrize("text", ["", ":1", "pi:", "pi:x", "pi:0", "pi:65536", "pi:-1", "pi:²"])
def test_what_is_no_address(text: str):
    with pytest.raises(InputError, match=r"--rpc .* is not understood; give HOST:PORT"):
        parse_address(text, "--rpc", 9090)


def test_the_options_together():
    assert parse_place(None, None, None) is None
    assert parse_place("pi", None, None) == Place(Address("pi", 9090))
    assert parse_place(None, "lab", "pi4") == Place(Address("lab", 9190), "pi4")


@pytest.mark.parametrize("options", [("pi", "lab", None), ("pi", None, "k"), (None, "lab", None), (None, None, "k")])
def test_options_that_do_not_fit_together(options: tuple[str | None, ...]):
    with pytest.raises(InputError, match="--tracker and --key"):
        parse_place(*options)


@pytest.mark.parametrize(
    ("host", "loopback"), [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("pi", False)]
)
def test_loopback(host: str, loopback: bool):
    assert Address(host, 1).is_loopback is loopback
