"""A batch goes on past pictures that cannot be used, reads ahead, and ends at once where nothing can be written."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.runtime.fakes import FakeNetwork
from toolchain.images import read_photo
from toolchain.images.geometry import Geometry
from toolchain.runtime.batch import BatchSettings, PictureOutcome, run_batch
from toolchain.runtime.channel import Channel, Stopped
from toolchain.runtime.jobs import plan_jobs
from toolchain.runtime.tiles import Tiling
from toolchain.support.errors import OutputError

NETWORK = FakeNetwork(channels=3, scale=2)
SETTINGS = BatchSettings(Tiling(2, NETWORK.halo, 50.0, 8), Geometry(3, 2))


def photos(folder: Path, count: int = 3) -> list[Path]:
    rng = np.random.default_rng(1)
    paths = [folder / f"{index}.png" for index in range(count)]
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (30, 21, 3), dtype=np.uint8)).save(path)
    return paths


def run(paths: list[Path], out: Path, settings: BatchSettings = SETTINGS, **options: object) -> list[PictureOutcome]:
    return list(run_batch(plan_jobs(paths, out, scale=2, **options), NETWORK.upscale, settings))


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_all_are_enlarged(tmp_path: Path, suffix: str):
    paths, shares = photos(tmp_path), []
    jobs = plan_jobs(paths, tmp_path / "out", scale=2, format_name=suffix)
    outcomes = list(run_batch(jobs, NETWORK.upscale, SETTINGS, shares.append))
    assert [outcome.job for outcome in outcomes] == list(jobs)
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)
    for path, job in zip(paths, jobs, strict=True):
        assert np.array_equal(read_photo(job.output).pixels, NETWORK.upscale(read_photo(path).pixels))


def test_damaged_ones_are_named_and_the_rest_is_done(tmp_path: Path):
    paths = photos(tmp_path, 4)
    paths[1].write_bytes(paths[1].read_bytes()[:700])  # its header is good, its rows end early
    paths[2].write_bytes(b"no picture")
    outcomes = run(paths, tmp_path / "out")
    assert [outcome.error is None for outcome in outcomes] == [True, False, False, True]
    assert "1.png is damaged" in str(outcomes[1].error)
    assert "2.png is not a picture" in str(outcomes[2].error)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0_x2.png", "3_x2.png"]


@pytest.mark.parametrize("size", [(7, 9), (12, 9), (9, 7), (9, 12)])
def test_frames_of_other_sizes_are_an_error_not_silence(tmp_path: Path, size: tuple[int, int]):
    path = tmp_path / "a.gif"
    frames = [Image.new("L", (9, 9), 3), Image.new("L", (9, 9), 200)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    data = bytearray(path.read_bytes())
    data[6:10] = size[0].to_bytes(2, "little") + size[1].to_bytes(2, "little")  # the screen's size, not the frames'
    path.write_bytes(data)
    (outcome,) = run([path], tmp_path / "out")
    written = sorted((tmp_path / "out").glob("*"))
    assert (outcome.error is None) == bool(written)
    assert (outcome.header is None) == (not written)


def test_what_is_there_is_left(tmp_path: Path):
    paths = photos(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "1_x2.png").write_bytes(b"mine")
    outcomes = run(paths, tmp_path / "out", BatchSettings(SETTINGS.tiling, SETTINGS.geometry, skip_existing=True))
    assert [outcome.skipped for outcome in outcomes] == [False, True, False]
    assert (tmp_path / "out" / "1_x2.png").read_bytes() == b"mine"


def test_the_next_is_read_while_this_one_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from toolchain.runtime import batch

    paths, opened, second = photos(tmp_path, 2), batch.open_picture, threading.Event()

    def noticed(source: Path, name: str) -> object:
        if source == paths[1]:
            second.set()
        return opened(source, name)

    monkeypatch.setattr(batch, "open_picture", noticed)

    def waiting(pixels: np.ndarray) -> np.ndarray:
        assert second.wait(30)
        return NETWORK.upscale(pixels)

    jobs = plan_jobs(paths, tmp_path / "out", scale=2)
    assert [outcome.error for outcome in run_batch(jobs, waiting, SETTINGS)] == [None, None]


def test_where_nothing_can_be_written_it_ends(tmp_path: Path):
    before, paths = set(threading.enumerate()), photos(tmp_path)
    (tmp_path / "out").write_bytes(b"a file")
    with pytest.raises(OutputError, match="cannot write"):
        run(paths, tmp_path / "out" / "in")
    assert not set(threading.enumerate()) - before


def test_an_error_of_the_network_ends_it_and_leaves_nothing(tmp_path: Path):
    before = set(threading.enumerate())

    def fail(pixels: np.ndarray) -> np.ndarray:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(run_batch(plan_jobs(photos(tmp_path), tmp_path / "out", scale=2), fail, SETTINGS))
    assert not list((tmp_path / "out").glob("*"))
    assert not set(threading.enumerate()) - before


def test_transparent_pictures_are_no_jpeg_and_that_is_known_before_the_network_runs(tmp_path: Path):
    paths, rows = photos(tmp_path), []
    for path, alpha in ((paths[0], 254), (paths[1], 255)):
        pixels = np.full((30, 21, 4), 255, np.uint8)
        pixels[-1, -1, 3] = alpha
        Image.fromarray(pixels).save(path)

    def upscale(pixels: np.ndarray) -> np.ndarray:
        rows.append(len(pixels))
        return NETWORK.upscale(pixels)

    jobs = plan_jobs(paths, tmp_path / "out", scale=2, format_name="jpg")
    (outcome,) = run_batch(jobs[:1], upscale, SETTINGS)
    assert "0.png is transparent, which .jpg cannot hold; write a .png" in str(outcome.error)
    assert not rows
    assert all(outcome.error is None for outcome in run_batch(jobs[1:], upscale, SETTINGS))
    assert [path.name for path in sorted((tmp_path / "out").iterdir())] == ["1_x2.jpg", "2_x2.jpg"]
    assert rows


def test_a_channel_holds_no_more_than_its_limit():
    channel = Channel[int](10)
    channel.put(1, 6)
    taken = []
    thread = threading.Thread(target=lambda: (channel.put(2, 6), taken.append("put")))
    thread.start()
    thread.join(0.05)
    assert not taken
    assert next(iter(channel)) == 1
    thread.join(30)
    assert taken
    channel.stop()
    with pytest.raises(Stopped):
        channel.put(3)
