"""The contact sheet of a representative set: it shows every image, and can be looked at in any window."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.browser import browser, needs_browser
from toolchain.cli import main
from toolchain.quantize.representative import Reading
from toolchain.workflows.represent import SHEET, RepresentRequest, make_representative_set

HOSTILE = "<img src=x onerror=alert(1)>&"
MOST = 400_000


@pytest.fixture(scope="module")
def sheet(tmp_path_factory: pytest.TempPathFactory, model_file: Path, photo_folder: Path) -> Path:
    """The sheet of a set made of photographs of strange names."""
    folder = tmp_path_factory.mktemp("sheet")
    photos = shutil.copytree(photo_folder, folder / "photos")
    for index, photo in enumerate(sorted(photos.iterdir())):
        photo.rename(photos / f"{index}{HOSTILE}.png")
    assert main(["represent", str(model_file), "--calib", str(photos), "-o", str(folder / "a set"), "--quiet"]) == 0
    return folder / "a set" / SHEET


def test_it_says_what_there_is(sheet: Path) -> None:
    text, proof = sheet.read_text(encoding="utf-8"), json.loads((sheet.parent / "proof.json").read_text())
    assert sheet.stat().st_size < MOST
    for word in ("no clip is needed", "Red is above 1, blue below 0", "contrast lowered", "a set&#39;", "arXiv"):
        assert word in text, word
    assert text.count('data-title="contrast kept"') == len(proof["images"])
    assert f"{proof['output_scale']:.4g}, 0" in text
    assert "<img src=x" not in text


def test_of_many_patches_some_are_shown_and_frames_are_among_them(
    model_file: Path, photo_folder: Path, tmp_path: Path
) -> None:
    reading = Reading(overshoot="select", patch=12)
    proof = make_representative_set(RepresentRequest(model_file, photo_folder, tmp_path / "set", reading=reading))
    text = (tmp_path / "set" / SHEET).read_text(encoding="utf-8")
    assert len(proof.images) > 24
    assert f"24 of {len(proof.images)} images are shown" in text
    assert "no photograph" in text
    assert f"{len(proof.left_out) - 40} more, see proof.json" in text or len(proof.left_out) <= 40
    assert "Left out" in text


@needs_browser
def test_it_can_be_looked_at(sheet: Path) -> None:
    with browser() as shown:
        for width in (1280, 390):
            for dark in (False, True):
                shown.show(sheet, width, dark=dark)
                assert shown.value("document.documentElement.scrollWidth") == width
                assert shown.value("[...document.images].every(one => one.complete && one.naturalWidth)")
                assert shown.value("[...document.querySelectorAll('img:not(.marks)')].every(one => one.alt)")
        kept = "document.querySelector('td:nth-child(4)').dataset.value"
        shown.value("document.querySelector('th:nth-child(4) button').click()")
        assert shown.value(kept) == "1.0"
        mark = "document.querySelector('.marks').getBoundingClientRect()"
        photo = "document.querySelector('.shot:has(.marks) img').getBoundingClientRect()"
        assert shown.value(f"{mark}.width") == shown.value(f"{photo}.width") > 100
        assert shown.value(f"{mark}.top") == shown.value(f"{photo}.top")
        assert shown.printed().startswith(b"%PDF")
        assert not shown.complaints
