"""`clipfree run film.mkv`: every frame, and what else a film has; killed, it goes on; bad films are sentences."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.video.clips import Wish, frames_of, make, packets_of, planes, planes_of
from toolchain.backends.open import load
from toolchain.bundle import Bundle, open_bundle
from toolchain.cli import main
from toolchain.video import encode, parts, work
from toolchain.video.enlarge import Enlarger
from toolchain.video.frames import Pixels

pytest.importorskip("av", reason="films want PyAV")


def expected(bundle: Path, wish: Wish, number: int) -> tuple[Pixels, ...]:
    enlarger = Enlarger(wish.form, 3, 2)
    given = enlarger.before(planes(wish.form, number))
    return enlarger.after(enlarger.run(given, load(open_bundle(bundle)).upscale))


@pytest.mark.parametrize(
    "wish",
    [
        Wish(),
        Wish(pixels="yuv422p", range=2),
        Wish(pixels="yuv444p", width=31, height=23),
        Wish(width=33, height=25),
        Wish(pixels="gray", frames=2),
        Wish(width=1, height=1, frames=1),
        Wish(bits=10, frames=3),
        Wish(pixels="yuv422p", bits=10, range=2, width=31, height=23, frames=2),
        Wish(pixels="yuv444p", bits=10, frames=2),
        Wish(pixels="gray", bits=10, frames=2),
    ],
    ids=lambda wish: f"{wish.form.pixels}-{wish.width}-{wish.range}",
)
def test_every_frame_is_the_networks(bundle: Path, tmp_path: Path, wish: Wish, capsys: pytest.CaptureFixture[str]):
    film, out = make(tmp_path / "film.mkv", wish), tmp_path / "big.mkv"
    assert main(["run", str(bundle), str(film), "-o", str(out), "--codec", "ffv1"]) == 0
    made = frames_of(out)
    assert len(made) == wish.frames
    for number, frame in enumerate(made):
        assert frame.format.name == wish.form.pixels
        found = planes_of(frame, wish.form.enlarged(2))
        for one, other in zip(found, expected(bundle, wish, number), strict=True):
            assert np.array_equal(one, other)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["big.mkv", "film.mkv", "tiny.clipfree"]
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [str(out)]
    assert f"{wish.width} x {wish.height} to {2 * wish.width} x {2 * wish.height}, 29.97 fps" in captured.err


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_what_else_a_film_has_is_kept(bundle: Path, tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]):
    wish = Wish(frames=30, sound=True, subtitles=True, codec="libx264", matrix=5, range=2, rotation=90)
    film, out = make(tmp_path / "film.mkv", wish), tmp_path / f"big{suffix}"
    assert main(["run", str(bundle), str(film), "-o", str(out), "--json"]) == 0
    captured = capsys.readouterr()
    told = json.loads(captured.out)["film"]
    assert packets_of(out, "audio") == packets_of(film, "audio") != []
    if suffix == ".mkv":
        assert packets_of(out, "subtitle") == [b"Hello"]
        assert told["notes"] == []
    else:
        assert packets_of(out, "subtitle") == []
        assert told["notes"] == ["subtitle of the kind srt has no place in .mp4; a .mkv holds it"]
    import av

    with av.open(str(out)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        assert (context.width, context.height, stream.average_rate) == (64, 48, Fraction(30000, 1001))
        assert (int(context.colorspace), int(context.color_range)) == (5, 2)
        assert stream.sample_aspect_ratio == Fraction(4, 3)
        assert container.streams.audio[0].metadata["language"] == "deu"
        assert container.metadata["title"] == "a film"
        assert len(container.chapters()) == 1
    before, after = frames_of(film), frames_of(out)
    assert [float(frame.pts * frame.time_base) for frame in after] == pytest.approx(
        [float(frame.pts * frame.time_base) for frame in before], abs=0.001
    )
    assert after[0].rotation == before[0].rotation != 0


def test_frames_keep_times_that_are_not_even(bundle: Path, tmp_path: Path):
    times = (0, 40, 45, 200, 201, 1000)
    film = make(tmp_path / "film.mkv", Wish(frames=6, times=times))
    assert main(["run", str(bundle), str(film), "-o", str(tmp_path / "big.mkv"), "--crf", "5"]) == 0
    assert [frame.pts for frame in frames_of(tmp_path / "big.mkv")] == list(times)


@pytest.mark.parametrize(("codec", "suffix"), [("h264", ".ts"), ("hevc", ".mp4"), ("vp9", ".webm"), ("av1", ".mkv")])
def test_codecs(bundle: Path, tmp_path: Path, codec: str, suffix: str):
    wish = Wish(width=64, height=64, frames=3)
    film, out = make(tmp_path / "film.mkv", wish), tmp_path / f"big{suffix}"
    assert main(["run", str(bundle), str(film), "-o", str(out), "--codec", codec]) == 0
    made = frames_of(out)
    assert len(made) == 3
    luma = planes_of(made[1], wish.form.enlarged(2))[0]
    assert np.abs(luma.astype(int) - expected(bundle, wish, 1)[0]).mean() < 4


class Packet(bytes):
    """A packet that an encoder made."""

    pts, time_base, is_keyframe = 512, Fraction(1, 12800), True
    dts: int | None


@pytest.mark.parametrize(
    ("said", "taken"), [(None, 512), (-512, -512), (512, 512), (-8827191113346151003, 512), (3700448948612710469, 512)]
)
def test_when_packets_are_decoded(said: int | None, taken: int):
    """x265 leaves by chance what it says of films of one frame or two."""
    packet, coding = Packet(b"frame"), SimpleNamespace(unit=Fraction(1, 12800))
    packet.dts = said
    stored = encode._stored(packet, coding, {512: 40})  # type: ignore[arg-type]
    assert (stored.shown, stored.decoded, stored.duration) == (512, taken, 40)


@pytest.mark.parametrize("frames", [1, 2])
def test_few_frames(bundle: Path, tmp_path: Path, frames: int):
    film, out = make(tmp_path / "film.mkv", Wish(frames=frames)), tmp_path / "big.mp4"
    assert main(["run", str(bundle), str(film), "-o", str(out), "--codec", "hevc"]) == 0
    assert len(frames_of(out)) == frames


def test_films_of_rgb(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    film = make(tmp_path / "film.mkv", Wish(pixels="rgb24", frames=2))
    assert main(["run", str(bundle), str(film), "-o", str(tmp_path / "big.mkv"), "--codec", "ffv1"]) == 0
    assert "its RGB becomes BT.709, yuv444p" in capsys.readouterr().err
    (frame, _) = frames_of(tmp_path / "big.mkv")
    assert (frame.format.name, int(frame.colorspace)) == ("yuv444p", 1)


def converted(film: Path, out: Path, pixels: str) -> Path:
    """A film with other pixels."""
    import av

    with av.open(str(film)) as source, av.open(str(out), "w") as result:
        stream = result.add_stream("ffv1", rate=30)
        stream.codec_context.width, stream.codec_context.height, stream.codec_context.pix_fmt = 32, 24, pixels
        for one in source.decode(video=0):
            result.mux(stream.encode(one.reformat(format=pixels)))
        result.mux(stream.encode(None))
    return out


@pytest.mark.parametrize(
    ("pixels", "made", "note"),
    [
        ("yuv420p12le", "yuv420p10le", "its samples of 12 bits become 10"),
        ("yuv444p16le", "yuv444p10le", "its samples of 16 bits become 10"),
        ("yuv420p9le", "yuv420p10le", ""),
        ("gray12le", "gray10le", "its samples of 12 bits become 10"),
        ("gbrp10le", "yuv444p", "its samples of 10 bits become 8; its RGB becomes BT.709, yuv444p"),
    ],
)
def test_samples_of_other_bits(bundle: Path, tmp_path: Path, capsys, pixels: str, made: str, note: str):
    film = converted(make(tmp_path / "film.mkv", Wish(frames=2)), tmp_path / "deep.mkv", pixels)
    assert main(["run", str(bundle), str(film), "-o", str(tmp_path / "big.mkv"), "--codec", "ffv1"]) == 0
    assert f"{made.replace('yuv444p', 'rgb24') if 'RGB' in note else made}{'; ' * bool(note)}{note}\n" in (
        capsys.readouterr().err
    )
    for frame, small in zip(frames_of(tmp_path / "big.mkv"), frames_of(tmp_path / "film.mkv"), strict=True):
        assert frame.format.name == made
        if made.endswith("10le"):
            deep = Wish(pixels=made.removesuffix("10le"), bits=10).form.enlarged(2)
            luma, before = planes_of(frame, deep)[0], planes_of(small, Wish().form)[0]
            assert abs(luma.mean() - 4 * before.mean()) < 40, "about as bright as before"


LIGHT = "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400"


def said_of_light(path: Path) -> dict[str, list[float]]:
    found = {}
    for data in frames_of(path)[0].side_data:
        if data.type.name == "CONTENT_LIGHT_LEVEL":
            found[data.type.name] = np.frombuffer(bytes(data), np.int32)[:2].tolist()
        if data.type.name == "MASTERING_DISPLAY_METADATA":
            numbers = np.frombuffer(bytes(data), np.int32)[:20]
            found[data.type.name] = (numbers[::2] / numbers[1::2]).tolist()
    return found


def test_what_hdr_says_of_light_is_kept(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    options = (("x265-params", f"log-level=none:{LIGHT}"),)
    wish = Wish(width=64, height=48, frames=5, codec="libx265", bits=10, matrix=9, options=options)
    film = make(tmp_path / "film.mp4", wish)
    before = said_of_light(film)
    assert before["CONTENT_LIGHT_LEVEL"] == [1000, 400]
    for words in ([], ["--codec", "av1"]):
        out = tmp_path / "big.mp4"
        assert main(["run", str(bundle), str(film), "-o", str(out), *words]) == 0
        assert "left out" not in capsys.readouterr().err
        after = said_of_light(out)
        for kind, numbers in before.items():
            assert after[kind] == pytest.approx(numbers, abs=1e-3), kind
        frame = frames_of(out)[0]
        assert (frame.format.name, int(frame.colorspace)) == ("yuv420p10le", 9)
    assert main(["run", str(bundle), str(film), "-o", str(tmp_path / "b.mkv"), "--codec", "ffv1"]) == 0
    assert "left out: HDR's brightness and display have no place in ffv1" in capsys.readouterr().err


def test_interlaced_films_are_flagged(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    wish = Wish(width=64, height=64, frames=3, codec="libx264", options=(("x264-params", "tff=1"),))
    film = make(tmp_path / "film.mkv", wish)
    assert main(["run", str(bundle), str(film), "-o", str(tmp_path / "big.mkv")]) == 0
    assert "it is interlaced, its frames are enlarged as they are (ffmpeg -i FILM -vf bwdif" in capsys.readouterr().err


class Killed(Exception):
    """As if the process ended here."""


@pytest.mark.parametrize("codec", ["ffv1", "h264"])
def test_a_killed_run_goes_on(
    bundle: Path, tmp_path: Path, codec: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(work, "FRAMES", 4)
    film = make(tmp_path / "film.mkv", Wish(frames=15))
    words = ["run", str(bundle), str(film), "--codec", codec, "-o"]
    assert main([*words, str(tmp_path / "whole.mkv")]) == 0
    real, seen = Enlarger.run, []

    def run(*arguments: object) -> object:
        seen.append(arguments)
        if len(seen) == 11:
            raise Killed
        return real(*arguments)  # type: ignore[arg-type]

    out = tmp_path / "big.mkv"
    with monkeypatch.context() as patch:
        patch.setattr(Enlarger, "run", run)
        assert main([*words, str(out)]) != 0
    assert not out.exists()
    assert sorted(path.name for path in (tmp_path / "big.mkv.parts").iterdir())[:2] == ["000000.part", "000001.part"]
    capsys.readouterr()
    assert main([*words, str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["film"]
    assert (told["frames"], told["frames_before"]) == (15, 8)
    assert not (tmp_path / "big.mkv.parts").exists()
    one, other = frames_of(tmp_path / "whole.mkv"), frames_of(out)
    assert [frame.pts for frame in one] == [frame.pts for frame in other]
    if codec == "ffv1":  # x264 decides some things by which of its threads was first
        assert all(np.array_equal(a.to_ndarray(), b.to_ndarray()) for a, b in zip(one, other, strict=True))


def test_frames_that_take_long_make_short_parts(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(work, "_FEWEST", 3)
    monkeypatch.setattr(work, "_SECONDS", -1.0)
    film, out = make(tmp_path / "film.mkv", Wish(frames=8)), tmp_path / "big.mkv"
    real, added = parts.Parts.add, []

    def add(self: parts.Parts, packets: Iterable[parts.StoredPacket], frames: Callable[[], int]) -> None:
        real(self, packets, frames)
        added.append(frames())
        if len(added) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(parts.Parts, "add", add)
        assert main(["run", str(bundle), str(film), "-o", str(out)]) == 130
    assert added == [3, 3]
    assert "6 frames are kept: the same command goes on behind them" in capsys.readouterr().err
    assert main(["run", str(bundle), str(film), "-o", str(out)]) == 0
    assert len(frames_of(out)) == 8


def test_parts_of_another_job_are_not_taken(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(work, "FRAMES", 4)
    film, out = make(tmp_path / "film.mkv", Wish(frames=8)), tmp_path / "big.mkv"
    words = ["run", str(bundle), str(film), "-o", str(out)]
    with monkeypatch.context() as patch:
        patch.setattr("toolchain.video.work.join", lambda *_: (_ for _ in ()).throw(Killed()))
        assert main(words) != 0
    (left,) = (tmp_path / "big.mkv.parts").glob("000001.part")
    make(film, Wish(frames=9))
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["film"]["frames_before"] == 0
    assert len(frames_of(out)) == 9
    assert not left.parent.exists()


def test_a_folder_with_other_things_is_left_alone(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    film, folder = make(tmp_path / "film.mkv"), tmp_path / "big.mkv.parts"
    folder.mkdir()
    (folder / "letter.txt").write_text("dear")
    assert main(["run", str(bundle), str(film), "-o", str(tmp_path / "big.mkv")]) == 8
    assert "holds other things (letter.txt)" in capsys.readouterr().err
    assert (folder / "letter.txt").read_text() == "dear"


def test_a_process_that_is_killed_loses_one_part_at_most(real_bundle: Bundle, tmp_path: Path):
    film = make(tmp_path / "film.mkv", Wish(frames=1200, codec="libx264"))
    out = tmp_path / "big.mp4"
    words = [sys.executable, "-m", "toolchain.cli", "run", str(real_bundle.path), str(film), "-o", str(out)]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as running:
        while running.poll() is None and not list(tmp_path.glob("big.mp4.parts/000001.part")):
            time.sleep(0.002)
        running.send_signal(signal.SIGKILL)
        running.communicate()
    if running.returncode == 0:
        pytest.skip("it was done before it could be killed")
    assert not out.exists()
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    first = next(line for line in done.stderr.splitlines() if "from before" in line)
    assert int(first.split()[0]) in (500, 750, 1000, 1200)
    assert len(frames_of(out)) == 1200
    assert not list(tmp_path.glob("big*.parts")) + list(tmp_path.glob(".clipfree*"))
