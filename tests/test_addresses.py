"""Web addresses that pages name: how they are written, and what requests them, on a server of this machine."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def checker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("addresses", ROOT / "docs" / "addresses.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_addresses_are_written_well(checker: ModuleType) -> None:
    found = checker.addresses(checker.documents())
    assert "https://arxiv.org/abs/2308.11365" in found
    assert not [address for address in found if not address.startswith("https://")]
    for address in found:
        parts = urlsplit(address)
        assert parts.hostname is not None
        assert "." in parts.hostname, address
        assert not parts.username, address
        assert parts.port is None, address
    bare = [address.rstrip("/").removeprefix("https://www.").removeprefix("https://") for address in found]
    assert len(set(bare)) == len(bare), "one page has two addresses"


def test_addresses_are_taken_out_of_sentences(checker: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "See <https://a.org/b>, [this](https://a.org/c_d#e). And https://a.org/f?g=h; `http://www.w3.org/x`"
    )
    assert list(checker.addresses([page])) == ["https://a.org/b", "https://a.org/c_d#e", "https://a.org/f?g=h"]


class _Server(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.send_response({"/there": 200, "/only-get": 405}.get(self.path, 404))
        self.end_headers()

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/only-get" else 404)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Server) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def test_what_is_lost_is_told(checker: ModuleType, server: str, capsys: pytest.CaptureFixture[str]) -> None:
    pages = [Path("page.md")]
    assert checker.main({f"{server}/there": pages, f"{server}/only-get": pages}, rest=0) == 0
    assert capsys.readouterr().out.count("there http") == 2
    assert checker.main({f"{server}/gone": pages}, rest=0) == 1
    assert capsys.readouterr().out == f"lost  {server}/gone (page.md): 404 Not Found\n"
    assert "refused" in checker.request("http://127.0.0.1:1/")
