"""Networks compared: the table, the files, rows that fail, runs that were ended, and what cannot be meant."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import onnx
import pytest

import clipfree
from tests import sr_models
from tests.answers import document
from tests.browser import browser, needs_browser
from toolchain.cli import main
from toolchain.schedules.coverage import Expected, expected
from toolchain.workflows.compare.page import write_page
from toolchain.workflows.compare.result import Beside, Comparison, Failure, Latency, Quality, Row, Time
from toolchain.workflows.compare.text import headings, notes

ROOT = Path(__file__).parents[1]
HOSTILE = '</script><b>x3</b>|"&'
QUICK = ["--size", "8x9", "--threads", "1", "--repeats", "3", "--precision", "int8", "--precision", "mix"]


@pytest.fixture(scope="module")
def other_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "other.onnx"
    onnx.save(sr_models.xlsr(2, width=3, blocks=1), path)
    return path


@pytest.fixture
def words(model_file: Path, photo_folder: Path, tmp_path: Path) -> list[str]:
    return ["compare", str(model_file), "--calib", str(photo_folder), "-o", str(tmp_path / "out"), *QUICK]


@pytest.mark.usefixtures("without_compiler")
def test_quiet_says_where_the_files_are(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words, "--quiet"]) == 0
    said = capsys.readouterr()
    assert [Path(line).parent for line in said.out.splitlines()] == [tmp_path / "out"] * 4
    assert said.err == ""


@pytest.mark.usefixtures("without_compiler")
def test_a_row_for_each_and_all_files(
    words: list[str], photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [*words, "--hr", str(photo_folder)]
    assert main([*asked, "--json"]) == 0
    found = document(capsys)
    schema = json.loads((ROOT / "docs" / "schemas" / "compare.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(found)
    rows = found["rows"]
    assert [(row["model"], row["precision"]) for row in rows] == [("tiny", "int8"), ("tiny", "mix")]
    out = tmp_path / "out"
    for row in rows:
        assert row["failure"] is None
        assert row["library_bytes"] == (out / row["bundle"] / "model.so").stat().st_size
        assert row["latency"]["source"] == "measured"
        assert [time["threads"] for time in row["latency"]["times"]] == [1]
        assert row["quality"]["pictures"] == 3
    macs = json.loads((out / rows[0]["bundle"] / "manifest.json").read_text())["macs_per_pixel"]
    assert rows[0]["gmac"] == pytest.approx(72 * macs / 1e9)
    assert json.loads((out / "compare.json").read_text()) == found
    lines = list(csv.DictReader((out / "compare.csv").read_text().splitlines()))
    assert [float(line["psnr_y_db"]) for line in lines] == [
        pytest.approx(row["quality"]["psnr_y"], abs=1e-4) for row in rows
    ]
    assert "| tiny |" in (out / "compare.md").read_text()
    text = (out / "index.html").read_text()
    assert "<h1>Networks compared</h1>" in text
    for row in rows:
        assert f'<a href="{row["bundle"]}/report.html">tiny</a>' in text
        assert "Where the work" in (out / row["bundle"] / "report.html").read_text()

    assert main(["evaluate", str(out / rows[0]["bundle"]), "--hr", str(photo_folder), "--json"]) == 0
    assert document(capsys)["mean"]["bundle"]["psnr_y"] == pytest.approx(rows[0]["quality"]["psnr_y"])

    assert main(asked) == 0  # all is there already
    printed = capsys.readouterr()
    assert "2 of 2 rows are from an earlier run" in printed.err
    assert "INT8, mixed" in printed.out
    assert main([*asked[: asked.index("mix") - 1], "--repeats", "4"]) == 0  # another row
    assert "earlier run" not in capsys.readouterr().err


@pytest.mark.usefixtures("without_compiler")
def test_a_row_that_fails_keeps_its_sentence(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"no model")
    words.insert(1, str(bad))
    assert main(words) == 3
    said = capsys.readouterr()
    assert "clipfree: bad, " in said.err
    assert f"{bad} is not an ONNX file" in said.out
    lines = list(csv.DictReader((tmp_path / "out" / "compare.csv").read_text().splitlines()))
    assert [bool(line["failure"]) for line in lines] == [True, True, False, False]
    assert "is not an ONNX file" in (tmp_path / "out" / "index.html").read_text()
    assert main(words) == 3  # the others are there, this one is tried again
    assert "2 of 4 rows are from an earlier run" in capsys.readouterr().err


KILLED = """
import os, signal, sys
from tests.standin import StandIn, standing_in
from toolchain.cli import start

left = int(sys.argv.pop(1))
class Mortal(StandIn):
    def export(self, path, *more):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().export(path, *more)

with standing_in(compiled=Mortal):
    start()
"""


def test_a_run_that_was_killed_goes_on(words: list[str], other_file: Path, tmp_path: Path) -> None:
    asked = [*words[:-2], str(other_file)]  # in 8 bits only

    def run(exports: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", KILLED, str(exports), *asked]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)

    first = run(1)
    assert first.returncode == -signal.SIGKILL
    (kept,) = (tmp_path / "out" / "rows").iterdir()
    before = kept.stat().st_mtime_ns
    assert not (tmp_path / "out" / "compare.csv").exists()
    second = run(1)
    assert second.returncode == 0, second.stderr
    assert "1 of 2 rows are from an earlier run" in second.stderr
    assert kept.stat().st_mtime_ns == before
    assert len(list((tmp_path / "out" / "rows").iterdir())) == 2
    assert sorted(path.suffix for path in (tmp_path / "out" / "bundles").iterdir()) == [".clipfree"] * 2


@pytest.mark.parametrize(
    ("more", "sentence", "code"),
    [
        (["--target", "x86-avx3"], "there is no target called 'x86-avx3'", 5),
        (["--target", "host", "--target", "host"], "--target host is named twice", 2),
        (["--precision", "int8"], "--precision int8 is named twice", 2),
        (["--precision", "int4"], "--precision int4 is not known; give one of int8, mix, float", 2),
        (["--size", "99999x99999"], "--size 99999x99999 has not 1 to", 2),
        (["--size", "wide"], "--size wide is not understood", 2),
        (["--lr", "."], "--lr is of the pictures of --hr", 2),
        (["--with", "abacus"], "there is no runtime abacus to compare with; there is onnxruntime", 2),
        (["--key", "pi"], "--tracker and --key belong together", 2),
        (["--tracker", "127.0.0.1:9"], "--tracker and --key belong together", 2),
        (["--rpc", "nowhere:x"], "--rpc nowhere:x is not understood", 2),
        (["--rpc", "rpi5=127.0.0.1:9"], "no --target is rpi5", 2),
        (["--rpc", "127.0.0.1:9", "--rpc", "127.0.0.1:9"], "is named twice", 2),
        (["--rpc", "127.0.0.1:1", "--target", "host", "--target", "x86-sse4"], "no board answers", 11),
    ],
)
def test_what_cannot_be_meant(
    words: list[str], more: list[str], sentence: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, *more]) == code
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_models_are_named_once(words: list[str], model_file: Path, tmp_path: Path, capsys) -> None:
    assert main([*words, str(model_file)]) == 2
    assert f"{model_file} is named twice" in capsys.readouterr().err
    copy = tmp_path / "copy.onnx"
    copy.write_bytes(model_file.read_bytes())
    assert main([*words, str(copy)]) == 2
    assert f"{model_file} and {copy} are the same model" in capsys.readouterr().err


def test_pictures_without_pairs(words: list[str], photo_folder: Path, tmp_path: Path, capsys) -> None:
    strange = tmp_path / "strange"
    strange.mkdir()
    (strange / "another.png").write_bytes((photo_folder / "photo0.png").read_bytes())
    assert main([*words, "--hr", str(photo_folder), "--lr", str(strange)]) == 2
    assert f"no picture of {strange} belongs to one of {photo_folder}" in capsys.readouterr().err
    empty = tmp_path / "empty"
    empty.mkdir()
    words[words.index("--calib") + 1] = str(empty)
    assert main(words) == 4
    assert f"there is no picture in {empty}" in capsys.readouterr().err


def test_in_python_with_another_runtime_and_floats(model_file: Path, photo_folder: Path, tmp_path: Path) -> None:
    told: list[float] = []
    found = clipfree.compare(
        model_file,
        photo_folder,
        precisions=("int8", "float"),
        size=(16, 24),
        threads=(1,),
        repeats=3,
        hr=photo_folder,
        beside=("onnxruntime",),
        out=tmp_path / "out",
        progress=lambda text, share: told.append(share),
    )
    assert [row.precision for row in found.rows] == ["int8", "float32"]
    assert not found.failures
    assert told == sorted(told)
    for row in found.rows:
        (time,) = row.latency.times
        (other,) = time.beside
        assert other.runtime.startswith("onnxruntime ")
        assert other.ratio > 0
    assert abs(found.rows[1].quality.loss) < 0.05
    assert str(found).count("\n") == 3
    assert found._repr_html_().count("<tr>") == 3
    with pytest.raises(clipfree.TargetError):
        clipfree.compare(model_file, photo_folder, targets="nonesuch", out=tmp_path / "out")


ROW = Row("a" * 32, "net", "host", "int8", library_bytes=1000, gmac=1.5)
MEASURED = Latency("measured", "CPU", "", (Time(1, 0.02, 0.03, 9, 0.5, (Beside("onnxruntime 1", 0.05, 2.5),)),))
ESTIMATED = Latency("estimated", "model at 1 GHz", "cycles", (Time(1, 0.25, 0.25),))
QUALITY = Quality(32.0, 31.0, 0.9, 32.5, 5)


def comparison(*rows: Row) -> Comparison:
    return Comparison(rows, 360, 640, "CPU", "Set5", "1.0", "2026-11-30")


def test_what_is_not_measured_says_so() -> None:
    unknown = replace(ROW, target="mali-g78", latency=Latency("not measured", "", "no Mali here"))
    lost = replace(ROW, place="the board", quality=QUALITY, failure=Failure("the board was lost", "try again", 11))
    rows = (replace(ROW, latency=MEASURED), replace(ROW, latency=ESTIMATED), unknown, lost)
    found = comparison(*rows)
    said = {column.title: [column.say(row) for row in rows] for column in headings(found)}
    assert said["latency (threads)"] == ["20.0 ms (1)", "~250 ms (1)", "-", "failed"]
    assert said["timed on"] == ["here", "estimated", "not measured", "the board"]
    assert said["onnxruntime"] == ["50.0 ms (2.5x)", "-", "-", "-"]
    assert said["loss to FP32"] == ["-", "-", "-", "0.500 dB"]
    below = "\n".join(notes(found))
    assert "Times of 1 of 1 rows vary by more than 20 %" in below
    assert "Estimated, ~: model at 1 GHz, cycles." in below
    assert "mali-g78, INT8: not measured, no Mali here." in below
    assert "net, host, INT8, the board: the board was lost; try again." in below
    assert "PSNR Y" not in {column.title for column in headings(comparison(ROW))}


def test_an_estimate_is_the_sum_of_the_kernels_records() -> None:
    def choice(seconds: float, height: int, width: int, threads: int = 1) -> SimpleNamespace:
        task = SimpleNamespace(height=height, width=width, threads=threads)
        return SimpleNamespace(record=SimpleNamespace(task=task, seconds=seconds, cpu="c", measured=False))

    kernels = [SimpleNamespace(enlarged=1), SimpleNamespace(enlarged=Fraction(4)), SimpleNamespace(enlarged=0)]
    choices = [choice(1.0, 10, 10), choice(2.0, 10, 10), choice(0.5, 1, 1)]
    assert expected(kernels, choices, 10, 20) == Expected(2.0 + 16.0 + 0.5, 1, "c", measured=False)
    assert expected(kernels, [*choices[:2], SimpleNamespace(record=None)], 10, 20) is None
    assert expected(kernels, [*choices[:2], choice(0.5, 1, 1, threads=2)], 10, 20) is None


@needs_browser
def test_the_page_fits_any_window_and_runs_nothing_of_names(tmp_path: Path) -> None:
    named = replace(ROW, model=HOSTILE, latency=MEASURED, quality=QUALITY)
    slow = replace(MEASURED, times=(Time(1, 0.9, 0.9), Time(2, 0.5, 0.5)))
    rows = (
        named,
        replace(named, precision="mix", same_as="int8"),
        replace(named, precision="float32", latency=slow),
        replace(named, latency=ESTIMATED, target="cortex-a76"),
        replace(named, latency=None, failure=Failure(HOSTILE, "", 3), bundle='javascript:document.title="taken"'),
    )
    path = write_page(comparison(*rows), tmp_path)
    assert path.read_text().count("<script>") == 1
    assert "20.0 ms, INT8, mixed" not in path.read_text()
    assert ", INT8, mixed: " not in path.read_text()  # no bar that says the same again
    with browser() as page:
        for width, dark in ((1280, False), (390, True)):
            page.show(path, width, dark=dark)
            assert page.value("document.documentElement.scrollWidth") == width
            assert page.value("document.querySelectorAll('b').length") == 4  # of the tiles alone
        assert page.value("[...document.links].at(-1).href").startswith("file:///")
        assert page.complaints == []
