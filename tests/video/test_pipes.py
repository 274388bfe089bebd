"""Frames through pipes, as FFmpeg writes and reads them."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.video.clips import Wish, planes
from toolchain.backends.open import load
from toolchain.bundle import Bundle
from toolchain.video.enlarge import Enlarger
from toolchain.video.frames import VideoFrame
from toolchain.video.y4m import Stream, fields_of, read_frames, read_header, write_frame, write_header


def run(bundle: Bundle, words: list[str], data: bytes) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "toolchain.cli", "run", str(bundle.path), *words]
    return subprocess.run(command, input=data, capture_output=True, check=False, timeout=120)


def stream(wish: Wish, *, headers: bool) -> bytes:
    file, kind = io.BytesIO(), Stream(wish.form, Fraction(24), fields_of(wish.form) if headers else None)
    write_header(file, kind)
    for number in range(wish.frames):
        write_frame(file, kind, VideoFrame(planes(wish.form, number)))
    return file.getvalue()


def enlarged(bundle: Bundle, wish: Wish) -> list[bytes]:
    """What becomes of the frames; those of so few lines that do not say are BT.601."""
    form = replace(wish.form, space=replace(wish.form.space, matrix="bt601"))
    enlarger, upscale = Enlarger(form, 3, 2), load(bundle).upscale
    frames = []
    for number in range(wish.frames):
        made = enlarger.after(enlarger.run(enlarger.before(planes(wish.form, number)), upscale))
        frames.append(b"".join(plane.tobytes() for plane in made))
    return frames


@pytest.mark.parametrize(
    "wish", [Wish(frames=4), Wish(frames=3, width=15, height=9, pixels="yuv444p", range=2), Wish(frames=2, bits=10)]
)
def test_yuv4mpeg_through_a_pipe(real_bundle: Bundle, wish: Wish):
    done = run(real_bundle, ["-", "-o", "-"], stream(wish, headers=True))
    assert done.returncode == 0, done.stderr
    file = io.BytesIO(done.stdout)
    head = read_header(file, "a")
    assert (head.form.width, head.form.height, head.rate) == (2 * wish.width, 2 * wish.height, 24)
    assert head.form.space.full == (wish.range == 2)
    frames = [b"".join(plane.tobytes() for plane in frame.planes) for frame in read_frames(file, head, "a")]
    assert frames == enlarged(real_bundle, wish)
    assert f"{wish.frames} frames, ".encode() in done.stderr


@pytest.mark.parametrize(
    "wish", [*(Wish(frames=3, pixels=pixels) for pixels in ("yuv420p", "rgb24", "gray")), Wish(frames=2, bits=10)]
)
def test_raw_frames_through_a_pipe(real_bundle: Bundle, wish: Wish):
    words = ["-", "-o", "-", "--size", "24x32", "--pixels", wish.form.pixels]
    done = run(real_bundle, words, stream(wish, headers=False))
    assert done.returncode == 0, done.stderr
    assert done.stdout == b"".join(enlarged(real_bundle, wish))


def test_files_of_frames(real_bundle: Bundle, tmp_path: Path):
    wish = Wish(frames=2)
    (tmp_path / "a.y4m").write_bytes(stream(wish, headers=True))
    assert run(real_bundle, [str(tmp_path / "a.y4m")], b"").returncode == 0
    with (tmp_path / "a_x2.y4m").open("rb") as file:
        head = read_header(file, "a")
        assert np.array([frame.planes[0].shape for frame in read_frames(file, head, "a")]).tolist() == [[48, 64]] * 2
    (tmp_path / "a.yuv").write_bytes(stream(wish, headers=False))
    done = run(real_bundle, [str(tmp_path / "a.yuv"), "--size", "24x32"], b"")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a_x2.yuv").stat().st_size == 2 * 64 * 48 * 3 // 2
    done = run(real_bundle, [str(tmp_path / "a.yuv")], b"")
    assert done.returncode == 2
    assert b"a.yuv does not say how large its frames are; give --size HEIGHTxWIDTH" in done.stderr


def test_a_pipe_becomes_a_film(real_bundle: Bundle, tmp_path: Path):
    pytest.importorskip("av", reason="films want PyAV")
    from tests.video.clips import frames_of

    out = tmp_path / "big.mp4"
    done = run(real_bundle, ["-", "-o", str(out)], stream(Wish(frames=5), headers=True))
    assert done.returncode == 0, done.stderr
    made = frames_of(out)
    assert (len(made), made[0].width, int(made[0].colorspace)) == (5, 64, 6)
    assert [path.name for path in tmp_path.iterdir()] == ["big.mp4"]


def test_a_stream_that_ends_early_is_said(real_bundle: Bundle, tmp_path: Path):
    data = stream(Wish(frames=3), headers=True)[:-5]
    done = run(real_bundle, ["-", "-o", "-"], data)
    assert done.returncode == 2
    assert b"standard input ends within frame 3" in done.stderr
    file = io.BytesIO(done.stdout)
    head = read_header(file, "a")
    assert len(list(read_frames(file, head, "a"))) == 2
    done = run(real_bundle, ["-", "-o", str(tmp_path / "a.y4m")], data)
    assert done.returncode == 2
    assert list(tmp_path.iterdir()) == []
    done = run(real_bundle, ["-", "-o", "-"], b"YUV4MPEG2 W32 H24 F25:1 C420p12\n")
    assert b"of more than 10 bits or with alpha; convert it first: ffmpeg" in done.stderr


def test_a_reader_that_leaves(real_bundle: Bundle):
    words = [sys.executable, "-m", "toolchain.cli", "run", str(real_bundle.path), "-", "-o", "-"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        running.stdin.write(stream(Wish(frames=40), headers=True))
        running.stdin.close()
        running.stdout.read(100)
        running.stdout.close()
        assert running.stderr is not None
        said = running.stderr.read().decode()
    assert "Traceback" not in said
    assert running.returncode == 0
