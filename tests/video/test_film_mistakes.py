"""`clipfree run film.mkv` on what is no film, or damaged, and with wishes that cannot be: sentences."""

from __future__ import annotations

import errno
import io
import json
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.video.clips import Wish, make, planes
from toolchain.cli import main
from toolchain.video import parts
from toolchain.video.frames import VideoFrame

pytest.importorskip("av", reason="films want PyAV")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "film.mkv is damaged, or no film that can be read"),
        (b"this is no film\n" * 100, "film.mkv is damaged, or no film that can be read"),
        (b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n#EXT-X-ENDLIST\n", "film.mkv is damaged, or no film that can be read"),
        (b"ffconcat version 1.0\nfile other.mkv\n", "film.mkv is damaged, or no film that can be read"),
    ],
)
def test_what_is_no_film(bundle: Path, tmp_path: Path, data: bytes, said: str, capsys: pytest.CaptureFixture[str]):
    make(tmp_path / "other.mkv")
    (tmp_path / "film.mkv").write_bytes(data)
    assert main(["run", str(bundle), str(tmp_path / "film.mkv"), "-o", str(tmp_path / "big.mkv")]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "big.mkv").exists()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8, 0.99])
@pytest.mark.parametrize("codec", ["libx264", "ffv1"])
def test_a_film_that_ends_early(bundle: Path, tmp_path: Path, share: float, codec: str):
    film = make(tmp_path / "film.mkv", Wish(frames=40, codec=codec, sound=True))
    film.write_bytes(film.read_bytes()[: int(share * film.stat().st_size)])
    code = main(["run", str(bundle), str(film), "-o", str(tmp_path / "big.mkv")])
    assert code in (0, 2)
    assert (tmp_path / "big.mkv").exists() == (code == 0)


@pytest.mark.parametrize("seed", range(8))
def test_a_damaged_film(bundle: Path, tmp_path: Path, seed: int):
    film = make(tmp_path / "film.mkv", Wish(frames=20, codec="libx264", sound=True))
    rng, data = np.random.default_rng(seed), bytearray(film.read_bytes())
    for place in rng.integers(0, len(data), 30):
        data[place] = rng.integers(256)
    film.write_bytes(data)
    code = main(["run", str(bundle), str(film), "-o", str(tmp_path / "big.mkv")])
    assert code in (0, 2)
    assert (tmp_path / "big.mkv").exists() == (code == 0)


@pytest.mark.parametrize(
    ("wish", "words", "said"),
    [
        (Wish(), ["-o", "{}/big.avi"], "big.avi does not end as a film does that can be written"),
        (Wish(), ["-o", "{}/film.mkv"], "film.mkv would be written over itself"),
        (Wish(), ["-o", "{}/big.mp4", "--codec", "ffv1"], "such a file holds no ffv1; a .mkv does"),
        (Wish(), ["-o", "{}/big.mkv", "--codec", "mpeg2"], "there is no --codec mpeg2"),
        (Wish(), ["-o", "{}/big.mkv", "--codec", "ffv1", "--crf", "3"], "ffv1 is lossless and has no --crf"),
        (Wish(pixels="gray"), ["-o", "{}/big.webm"], "vp9 holds no gray"),
        (Wish(), ["{}/film.mkv", "-o", "{}"], "films are enlarged one by one"),
        (Wish(), ["-o", "-", "--json"], "standard output is taken"),
    ],
)
def test_wishes_that_cannot_be(
    bundle: Path, tmp_path: Path, wish: Wish, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
):
    film = make(tmp_path / "film.mkv", wish)
    assert main(["run", str(bundle), str(film), *(word.format(tmp_path) for word in words)]) == 2
    assert said in capsys.readouterr().err


def test_odd_sides_are_said_before_the_work(tmp_path: Path, bundle: Path, capsys: pytest.CaptureFixture[str]):
    from toolchain.support.errors import InputError
    from toolchain.video import film as films
    from toolchain.video.clip import plain_marks
    from toolchain.video.encode import Coding

    clip = films.open_film(make(tmp_path / "film.mkv", Wish(width=33)))
    form = clip.form.enlarged(3)
    with pytest.raises(InputError, match="holds no yuv420p of 99 x 72 pixels, whose sides are odd"):
        Coding("h264", None, form, clip.rate, clip.unit, plain_marks(form)).check("mp4")


def test_results_have_names(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    film = make(tmp_path / "film.mkv", Wish(frames=2))
    assert main(["run", str(bundle), str(film)]) == 0
    assert (tmp_path / "film_x2.mkv").exists()
    (tmp_path / "out").mkdir()
    assert main(["run", str(bundle), str(film), "-o", str(tmp_path / "out")]) == 0
    capsys.readouterr()
    words = ["run", str(bundle), str(film), "-o", str(tmp_path / "out"), "--skip-existing", "--json"]
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["film"]["skipped"] is True


def test_damaged_parts_are_said(tmp_path: Path):
    from toolchain.support.errors import OutputError

    with parts.open_parts(tmp_path / "p", {}) as kept:
        kept.add([parts.StoredPacket(0, 0, 1, True, b"data")], lambda: 1)
        path = tmp_path / "p" / "000000.part"
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(OutputError, match=r"000000\.part is damaged"):
            list(kept.packets())


def test_a_full_disk_is_said(tmp_path: Path):
    from toolchain.video.clip import plain_marks
    from toolchain.video.encode import Coding, encoded, join

    class Full(io.BytesIO):
        def write(self, data: object, /) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    form = Wish().form
    coding = Coding("h264", None, form, Fraction(25), Fraction(1, 25), plain_marks(form))
    packets = encoded([VideoFrame(planes(form, number), number, 1) for number in range(3)], coding, headers=True)
    with pytest.raises(OSError, match="No space left"):
        join(Full(), tmp_path / "a.mkv", coding, packets, None)


def test_without_pyav(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    film = make(tmp_path / "film.mkv")
    monkeypatch.setitem(sys.modules, "av", None)
    assert main(["run", str(bundle), str(film), "-o", str(tmp_path / "big.mkv")]) == 2
    assert "films want PyAV; pip install 'clipfree[video]'" in capsys.readouterr().err
