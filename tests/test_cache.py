"""The cache of bytes, and of quantized networks: what is kept is the same, and what is wrong with it does no harm."""

from __future__ import annotations

import dataclasses
import json
import os
import threading
from pathlib import Path

import onnx
import pytest

from tests import sr_models
from tests.standin import QUICK
from toolchain.bundle import QDQ, RECIPE, REPORT
from toolchain.cli import main
from toolchain.quantize import Settings
from toolchain.support.cache import Cache, cache_folder
from toolchain.workflows.deploy import Deployment, Event, Request, deploy
from toolchain.workflows.deploy.network_cache import networks_folder


def test_what_was_written_is_read(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "a" / "b", 10_000)
    assert cache.read("k") is None
    cache.write("k", b"first")
    cache.write("k", b"second")
    cache.write("other", b"")
    assert (cache.read("k"), cache.read("other")) == (b"second", b"")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: data[:50] + b"!" + data[51:], lambda data: b""]
)
def test_a_damaged_entry_is_none(tmp_path: Path, damage) -> None:
    cache = Cache(tmp_path, 10_000)
    cache.write("k", b"content" * 10)
    path = tmp_path / "k"
    path.write_bytes(damage(path.read_bytes()))
    assert cache.read("k") is None
    assert not path.exists()
    cache.write("k", b"again")
    assert cache.read("k") == b"again"


def test_what_was_not_asked_for_the_longest_goes_first(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 3500)
    for age, key in enumerate("abc"):
        cache.write(key, bytes(1000))
        os.utime(tmp_path / key, (1000 + age, 1000 + age))
    assert cache.read("a") is not None  # asked for just now
    cache.write("d", bytes(1000))
    assert {path.name for path in tmp_path.iterdir()} == {"a", "c", "d"}
    cache.write("too large", bytes(3000))
    assert cache.read("too large") is None


def test_a_folder_that_cannot_be_used_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = Cache(tmp_path / "file" / "folder", 1000)
    cache.write("k", b"data")
    assert cache.read("k") is None


def test_many_writers_leave_one_whole_entry(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 10**7)
    threads = [threading.Thread(target=cache.write, args=("k", bytes([n]) * 100_000)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = cache.read("k")
    assert found is not None
    assert found in {bytes([n]) * 100_000 for n in range(8)}
    assert [path.name for path in tmp_path.iterdir()] == ["k"]


def test_the_folder_is_the_user_s(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CLIPFREE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert (cache_folder(), networks_folder()) == (tmp_path / "clipfree", tmp_path / "clipfree" / "quantized")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home" / ".cache" / "clipfree"


@pytest.mark.usefixtures("without_compiler")
class TestDeploy:
    """The quantized network is made once."""

    def deploy(self, request: Request) -> tuple[Deployment, bool]:
        """And whether something was quantized."""
        events: list[Event] = []
        done = deploy(request, progress=events.append)
        return done, any(event.note and "measuring ranges" in event.detail for event in events)

    def test_the_same_bundle_comes_out(self, model_file: Path, photo_folder: Path, tmp_path: Path) -> None:
        settings = Settings(budget=0.0)
        request = Request(model_file, tmp_path / "a", photo_folder, settings=settings, keep=True)
        first, made = self.deploy(request)
        assert made
        assert not first.cached
        second, made = self.deploy(dataclasses.replace(request, out=tmp_path / "b"))
        assert not made
        assert second.cached
        plain, made = self.deploy(Request(model_file, tmp_path / "c", photo_folder, settings=settings))
        assert made
        for name in (QDQ, RECIPE, REPORT):
            assert (
                (first.path / name).read_bytes()
                == (second.path / name).read_bytes()
                == (plain.path / name).read_bytes()
            )
        assert first.manifest == second.manifest == plain.manifest

    def test_anything_else_is_made_anew(self, model_file: Path, photo_folder: Path, tmp_path: Path) -> None:
        request = Request(model_file, tmp_path / "a", photo_folder, settings=QUICK, keep=True)
        assert self.deploy(request)[1]
        assert not self.deploy(request)[1]
        assert self.deploy(dataclasses.replace(request, settings=dataclasses.replace(QUICK, seed=1)))[1]
        few = tuple(sorted(photo_folder.iterdir()))[:2]
        assert self.deploy(dataclasses.replace(request, calibration=few))[1]
        onnx.save(sr_models.xlsr(2, width=2, blocks=1, seed=5), tmp_path / "tiny.onnx")
        assert self.deploy(dataclasses.replace(request, model=tmp_path / "tiny.onnx"))[1]
        assert len(list(networks_folder().iterdir())) == 4

    def test_other_code_is_another_network(
        self, model_file: Path, photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        request = Request(model_file, tmp_path / "a", photo_folder, settings=QUICK, keep=True)
        assert self.deploy(request)[1]
        monkeypatch.setattr("toolchain.workflows.deploy.network_cache.code_digest", lambda: "other")
        assert self.deploy(request)[1]

    def test_damage_does_no_harm(self, model_file: Path, photo_folder: Path, tmp_path: Path) -> None:
        request = Request(model_file, tmp_path / "a", photo_folder, settings=QUICK, keep=True)
        self.deploy(request)
        (entry,) = networks_folder().iterdir()
        entry.write_bytes(entry.read_bytes()[:-7])
        assert self.deploy(request)[1]
        # An entry that is whole, but says nothing of a network.
        Cache(networks_folder(), 10**9).write(entry.name, b"PK")
        assert self.deploy(request)[1]
        assert not self.deploy(request)[1]

    def test_the_command_says_so(self, quick_deploy: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        found = []
        for more in ([], [], ["--no-cache"]):
            assert main([*quick_deploy, "--json", *more]) == 0
            out, err = capsys.readouterr()
            found.append((json.loads(out)["cached"], "from the cache: --no-cache quantizes again" in err))
        assert found == [(False, False), (True, True), (False, False)]

    def test_no_cache_leaves_nothing(self, quick_deploy: list[str]) -> None:
        assert main([*quick_deploy, "--no-cache"]) == 0
        assert not networks_folder().exists()
