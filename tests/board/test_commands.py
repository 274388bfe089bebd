"""The commands that use boards, as a user types them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.answers import answer
from tests.boards import Running
from toolchain.bundle import GOLDEN, Bundle, open_bundle, seal
from toolchain.bundle.manifest import parse_manifest
from toolchain.cli import main
from toolchain.support.cores import these_cores
from toolchain.support.cpu import this_cpu
from toolchain.targets import find_target


def test_list_and_check(tracker: Running, registered: Running, capsys: pytest.CaptureFixture[str]):
    address = str(tracker.address)
    (row,) = answer(capsys, "board", "list", "--tracker", address)["boards"]
    assert (row["key"], row["busy"], row["machine"]) == ("pi", False, this_cpu().machine)
    table = answer(capsys, "board", "check", "pi", "--tracker", address)
    assert table["address"] == str(registered.address)
    assert set(table["features"]) == this_cpu().features
    assert table["best"] == find_target("host").name
    assert table["best"] in table["targets"]
    assert main(["board", "list", "--tracker", address]) == 0
    assert f"best target {table['best']}" in capsys.readouterr().out
    assert main(["board", "check", "pi", "--tracker", address]) == 0
    assert "targets it can run: " in capsys.readouterr().out


def test_bench(board: Running, bundle: Bundle, capsys: pytest.CaptureFixture[str]):
    words = ["bench", str(bundle.path), "--rpc", str(board.address), "--size", "40x50", "--threads", "1", "--functions"]
    (row,) = answer(capsys, *words, "--repeats", "6", "--cool-down", "0.01")["rows"]
    assert row["repeats"] == 6
    assert row["gmac_per_s"] > 0
    assert row["drift"] > 0
    assert row["cores"] == [core.number for core in these_cores()]
    longest = max(row["functions_s"], key=row["functions_s"].get)
    assert main(words) == 0
    assert longest in capsys.readouterr().out


def test_verify(board: Running, bundle: Bundle, capsys: pytest.CaptureFixture[str]):
    table = answer(capsys, "verify", str(bundle.path), "--rpc", str(board.address), "--seed", "3")
    assert table["equal"] is True
    assert len(table["cases"]) == 10


def test_bench_here_times_functions_too(bundle: Bundle, capsys: pytest.CaptureFixture[str]):
    words = ["bench", str(bundle.path), "--size", "40x50", "--threads", "1", "--functions", "--repeats", "3"]
    (row,) = answer(capsys, *words)["rows"]
    assert 0 < sum(row["functions_s"].values()) < 100 * row["median_s"]
    assert main(["bench", str(bundle.path), "--threads", "900"]) == 2
    assert "900 threads need as many cores, this machine has" in capsys.readouterr().err


def test_a_wrong_picture_is_not_timed(board: Running, bundle: Bundle, tmp_path: Path, capsys):
    copy = Path(shutil.copytree(bundle.path, tmp_path / "copy.clipfree"))
    other = open_bundle(copy).golden()[0]
    import numpy as np

    np.savez(copy / GOLDEN, input=other, output=np.zeros_like(bundle.golden()[1]))
    data = (copy / "manifest.json").read_bytes()
    (copy / "manifest.json").unlink()
    seal(copy, parse_manifest(data, "it"))
    assert main(["bench", str(copy), "--rpc", str(board.address)]) == 7
    assert "golden picture: library and integer reference differ" in capsys.readouterr().err


def test_a_machine_that_grows_hot_is_told(without_compiler, stand_in_bundle: Path, monkeypatch, capsys):
    monkeypatch.setattr("toolchain.workflows.bench.HostMachine.times", lambda *_: [0.010] * 6 + [0.013] * 6)
    assert main(["bench", str(stand_in_bundle), "--size", "8x8", "--threads", "1"]) == 0
    assert "the last repeats took 30% longer than the first" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["board", "check"], 2, "which board?; give a key of the tracker, or --rpc HOST:PORT"),
        (["board", "check", "pi", "--rpc", "pi"], 2, "give one or the other"),
        (["board", "check", "--rpc", "127.0.0.1:1"], 11, "no board answers at 127.0.0.1:1: Connection refused"),
        (["board", "list", "--tracker", "127.0.0.1:1"], 11, "no tracker answers at 127.0.0.1:1"),
        (["board", "serve", "--key", "pi"], 2, "--tracker and --key belong together"),
        (["board", "build", "--target", "cortex-a77", "-o", "x"], 5, "there is no target called 'cortex-a77'"),
        (["bench", "BUNDLE", "--rpc", "pi:x"], 2, "--rpc pi:x is not understood"),
        (["bench", "BUNDLE", "--key", "pi"], 2, "--tracker and --key belong together"),
        (["bench", "BUNDLE", "--ssh", "me@pi"], 2, "--ssh leads to one board, named by --rpc"),
        (["bench", "BUNDLE", "--cpus", "fast"], 2, "--cpus fast is not understood; give big, little, or numbers"),
        (["bench", "BUNDLE", "--cpus", "900-901"], 2, "this machine has no core 900; it has 0"),
        (["tune", "zoo:xlsr_x3", "--rpc", "127.0.0.1:1"], 11, "no board answers at 127.0.0.1:1"),
    ],
)
def test_mistakes(words: list[str], code: int, sentence: str, stand_in_bundle: Path, capsys):
    assert main([str(stand_in_bundle) if word == "BUNDLE" else word for word in words]) == code
    said = capsys.readouterr().err
    assert sentence in said
    assert "Traceback" not in said
