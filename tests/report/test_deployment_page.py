"""The page of a deployment: it is in the bundle, shows what is known, and can be looked at in any window."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.browser import browser, needs_browser
from tests.standin import QUICK, StandIn, StandInBackend, standing_in
from toolchain.bundle import PAGE, open_bundle
from toolchain.cli import main
from toolchain.quantize import QuantizedModel
from toolchain.reference.network import describe_network
from toolchain.runtime.measure import KernelTimes
from toolchain.workflows.deploy import Request, deploy
from toolchain.workflows.report.network_drawing import draw_network, tone_of
from toolchain.workflows.report.structure import Part, plain_name

HOSTILE = "<img src=x onerror=alert(1)>&.png"
MOST = 600_000


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, model_file: Path, photo_folder: Path) -> Path:
    """The page of the small XLSR, deployed with photographs of strange names."""
    folder = tmp_path_factory.mktemp("page")
    photos = shutil.copytree(photo_folder, folder / "photos")
    for index, photo in enumerate(sorted(photos.iterdir())):
        photo.rename(photos / f"{index}{HOSTILE}")
    with standing_in(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", "86400")
        asked = Request(model_file, folder, photos, settings=QUICK, page=True, command="clipfree deploy '<b>'")
        return deploy(asked).path / PAGE


def test_it_is_a_file_of_the_bundle(page: Path) -> None:
    assert PAGE in open_bundle(page.parent, for_this_machine=False).manifest.files
    assert page.stat().st_size < MOST


def test_it_says_what_there_is(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for word in (
        "Move the handle",
        "below float",
        "Lost against float",
        "Signal to noise",
        "byte for byte",
        "1970-01-02",
        "merged, removed and changed",
    ):
        assert word in text, word
    assert "clipfree deploy &#39;&lt;b&gt;&#39;" in text
    assert "<img src=x" not in text


class Counted(StandIn):
    """What the compiler would return, with kernels whose work is known."""

    def __init__(self, model: QuantizedModel) -> None:
        super().__init__(model)
        layers = describe_network(model.model).layers
        self.kernels = [
            SimpleNamespace(name=kernel.name, macs=layer.macs_per_pixel)
            for kernel, layer in zip(self.kernels, layers, strict=True)
        ]


@needs_browser
def test_times_are_shown_where_the_library_runs(
    model_file: Path, photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    asked: list[tuple[int, int]] = []

    def kernel_times(_backend: object, _library: Path, compiled: Counted, _geometry: object, size: tuple[int, int]):
        asked.append(size)
        kernels = {"pack": 1e-3, **{one.name: (number + 1) * 1e-3 for number, one in enumerate(compiled.kernels)}}
        return KernelTimes(size, kernels, 0.1)

    monkeypatch.setattr(StandInBackend, "kernel_times", kernel_times)
    with standing_in(compiled=Counted):
        done = deploy(Request(model_file, tmp_path, photo_folder, settings=QUICK, page=True))
    text = (done.path / PAGE).read_text(encoding="utf-8")
    assert asked == [(360, 640)]
    for word in ("Where the work and the time are", "share of the time", "640 x 360 pixels, on one thread", "pack"):
        assert word in text, word
    with browser() as shown:
        for width in (1280, 390):
            shown.show(done.path / PAGE, width)
            assert shown.value("document.documentElement.scrollWidth") == width
        cells = "[...document.querySelectorAll('td[data-title=\"time (ms)\"]')].map(one => +one.dataset.value)"
        assert 2e-3 in shown.value(cells)
        assert not shown.complaints


def test_bundles_that_are_to_be_the_same_hold_no_times(page: Path) -> None:
    assert "share of the time" not in page.read_text(encoding="utf-8")


@needs_browser
def test_it_can_be_looked_at(page: Path) -> None:
    with browser() as shown:
        for width in (1280, 390):
            for dark in (False, True):
                shown.show(page, width, dark=dark)
                assert shown.value("document.documentElement.scrollWidth") == width
                assert shown.value("[...document.images].every(one => one.complete && one.naturalWidth)")
        assert shown.value("document.querySelector('.side.left').textContent") == "bicubic"
        shown.value("document.querySelectorAll('.choices button')[2].click()")
        assert shown.value("document.querySelector('.side.left').textContent") == "difference"
        assert shown.value("document.querySelector('.over:not([hidden])').alt") == "difference"
        assert "times as strong" in shown.value("document.querySelector('.said').textContent")
        handle = "document.querySelector('.slider input')"
        shown.value(f"{handle}.value = 20; {handle}.dispatchEvent(new Event('input'))")
        assert shown.value("document.querySelector('.slider').style.getPropertyValue('--at')") == "20%"
        assert shown.printed().startswith(b"%PDF")
        assert not shown.complaints


def test_two_deployments_of_a_day_make_the_same_bytes(
    model_file: Path, photo_folder: Path, tmp_path: Path, without_compiler: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    asked = [Request(model_file, tmp_path / name, photo_folder, settings=QUICK, page=True) for name in "ab"]
    first, second = (deploy(one).path / PAGE for one in asked)
    assert first.read_bytes() == second.read_bytes()
    assert "2001-09-09" in first.read_text(encoding="utf-8")


def test_the_command_line_writes_it_unless_told_not_to(
    model_file: Path, photo_folder: Path, tmp_path: Path, without_compiler: None
) -> None:
    words = [
        "deploy",
        str(model_file),
        "--calib",
        str(photo_folder),
        "-o",
        str(tmp_path / "a b.clipfree"),
        "--no-cache",
    ]
    assert main(words) == 0
    text = (tmp_path / "a b.clipfree" / PAGE).read_text(encoding="utf-8")
    assert f"clipfree deploy {model_file} --calib {photo_folder}" in text
    assert "a b.clipfree&#39; --no-cache" in text
    assert main([*words, "--no-report"]) == 0
    assert not (tmp_path / "a b.clipfree" / PAGE).exists()


def test_float_networks_have_one_too(model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    path = deploy(Request(model_file, tmp_path, precision="float32", page=True)).path
    text = (path / PAGE).read_text(encoding="utf-8")
    assert "in float32" in text
    assert "Where the work and the time are" in text
    assert "Signal to noise of every tensor" not in text


def test_what_is_skipped_is_drawn_beside() -> None:
    parts = [Part("a", "picture", "", ()), Part("b", "convolution", "3x3", ("a",)), Part("c", "sum", "", ("b", "a"))]
    drawn = draw_network(parts, {"b": 41.0, "c": 20.0})
    assert [box.tone for box in drawn.boxes] == ["none", "best", "poor"]
    straight = [line for line in drawn.lines if "H" not in line]
    assert (len(straight), len(drawn.lines)) == (2, 3)


@pytest.mark.parametrize(
    ("noise", "tone"), [(None, "none"), (40.0, "best"), (39.9, "good"), (25.0, "fair"), (0.0, "poor")]
)
def test_tones(noise: float | None, tone: str) -> None:
    assert tone_of(noise) == tone


def test_names_lose_what_exporters_add() -> None:
    assert plain_name("/body/0/Conv_output_0_quantized") == "body/0"
    assert plain_name("/Conv") == "/Conv"
