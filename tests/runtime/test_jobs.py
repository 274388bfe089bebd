"""Which pictures become which files."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from toolchain.runtime.jobs import STANDARD, plan_jobs
from toolchain.support.errors import InputError


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in ("a/x.png", "b/x.jpg", "b/x.png", "b/c/y.png"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (2, 2)).save(path)
    return tmp_path / "in"


def names(jobs: object, out: Path) -> list[str]:
    return [str(job.output.relative_to(out)) for job in jobs]  # type: ignore[attr-defined]


def test_beside_the_picture(photos: Path):
    assert names(plan_jobs([photos / "a/x.png"], None, scale=3), photos) == ["a/x_x3.png"]
    assert names(plan_jobs([photos / "a/x.png"], None, scale=3, format_name="jpg"), photos) == ["a/x_x3.jpg"]


def test_folders_are_kept(photos: Path, tmp_path: Path):
    out = tmp_path / "out"
    assert names(plan_jobs([photos / "b"], out, scale=2), out) == ["x_jpg_x2.png", "x_png_x2.png"]
    assert names(plan_jobs([photos], out, scale=2, recursive=True), out) == [
        "a/x_x2.png",
        "b/x_jpg_x2.png",
        "b/x_png_x2.png",
        "b/c/y_x2.png",
    ]


def test_one_name_from_several_folders(photos: Path, tmp_path: Path):
    out = tmp_path / "out"
    jobs = plan_jobs([photos / "a/x.png", photos / "b/x.jpg", photos / "b/x.png"], out, scale=2)
    assert names(jobs, out) == ["a/x_png_x2.png", "x_jpg_x2.png", "b/x_png_x2.png"]


def test_a_picture_given_twice_is_taken_once(photos: Path, tmp_path: Path):
    assert len(plan_jobs([photos / "a/x.png", photos / "a" / ".." / "a" / "x.png"], tmp_path / "o", scale=2)) == 1


def test_results_within_a_folder_are_not_taken_for_pictures(photos: Path):
    out = photos / "big"
    first = plan_jobs([photos], out, scale=2, recursive=True)
    out.mkdir()
    Image.new("L", (2, 2)).save(out / "x_x2.png")
    assert plan_jobs([photos], out, scale=2, recursive=True) == first


def test_standard_input_and_output(tmp_path: Path):
    (job,) = plan_jobs([STANDARD], None, scale=2, format_name="webp")
    assert (job.source, job.output, job.format.name) == (STANDARD, STANDARD, "WEBP")
    (job,) = plan_jobs([STANDARD], tmp_path, scale=2)
    assert job.output == tmp_path / "stdin_x2.png"


def test_what_cannot_be_planned(photos: Path, tmp_path: Path):
    x = photos / "a/x.png"
    (tmp_path / "empty").mkdir()
    for words, options, sentence in (
        ([photos], {}, "its results need one of their own; name it with -o"),
        ([tmp_path / "empty"], {"out": tmp_path / "o"}, "holds no picture; -r looks into its folders too"),
        ([x, photos / "b/x.jpg"], {"out": tmp_path / "one.png"}, "one.png cannot hold 2 pictures"),
        ([x, photos / "b/x.jpg"], {"out": STANDARD}, "standard output cannot hold 2 pictures"),
        ([x], {"out": x}, "would be written over itself"),
        ([x], {"out": tmp_path / "a.png", "format_name": "jpg"}, "a.png is no jpg"),
        ([x], {"format_name": "ico"}, "there is no --format ico; choose among png, jpg, webp, tiff"),
    ):
        with pytest.raises(InputError) as caught:
            plan_jobs(words, **{"out": None, "scale": 2, **options})
        assert sentence in str(caught.value)
