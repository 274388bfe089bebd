"""Outputs appear whole or not at all, whoever writes beside, whatever ends the writer."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from toolchain.support import exchange
from toolchain.support.errors import OutputError
from toolchain.support.files import atomic_folder, atomic_write, check_writable, scratch_folder

WAYS = {
    "exchanged": exchange.system_exchange,
    "renamed": lambda: None,
    "refused": lambda: lambda a, b: exchange._CANNOT[0],
}


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each way to put a folder in place: the system's exchange, and renaming where it has none."""
    if request.param == "exchanged" and exchange.system_exchange() is None:
        pytest.skip("this system does not exchange names")
    monkeypatch.setattr(exchange, "system_exchange", WAYS[request.param])
    return str(request.param)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A folder that is to be replaced."""
    (tmp_path / "it").mkdir()
    (tmp_path / "it" / "content").write_text("old")
    return tmp_path / "it"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def interrupted_after(call: Callable[..., Path], count: int) -> Callable[..., Path]:
    """``call``, and Ctrl-C right after it the ``count``-th time."""
    made = []

    def wrapper(*given: Path) -> Path:
        result = call(*given)
        made.append(result)
        if len(made) == count:
            signal.raise_signal(signal.SIGINT)
        return result

    return wrapper


def test_a_folder_takes_the_old_ones_place(old: Path, way: str):
    with atomic_folder(old) as folder:
        (folder / "content").write_text("new")
        assert (old / "content").read_text() == "old"
    assert (old / "content").read_text() == "new"
    assert names(old.parent) == ["it"]


def test_a_folder_comes_where_none_was(tmp_path: Path, way: str):
    with atomic_folder(tmp_path / "a" / "it") as folder:
        (folder / "content").write_text("new")
    assert names(tmp_path / "a") == ["it"]
    assert stat.S_IMODE((tmp_path / "a" / "it").stat().st_mode) & 0o500 == 0o500


@pytest.mark.parametrize("count", [1, 2, 3])
def test_an_interrupt_while_it_is_replaced_leaves_one_of_both(
    old: Path, way: str, count: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Path, "rename", interrupted_after(Path.rename, count))
    try:
        with atomic_folder(old) as folder:
            (folder / "content").write_text("new")
    except KeyboardInterrupt:
        pass
    monkeypatch.undo()
    assert (old / "content").read_text() in ("old", "new")
    assert names(old.parent) == ["it"]


def test_the_old_one_comes_back_if_the_new_one_cannot_come(old: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(exchange, "system_exchange", lambda: None)
    rename = Path.rename

    def failing(path: Path, target: Path) -> Path:
        if path.name.endswith(".partial") and not target.exists():
            raise OSError(5, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OutputError, match="Input/output error"), atomic_folder(old) as folder:
        (folder / "content").write_text("new")
    assert (old / "content").read_text() == "old"
    assert names(old.parent) == ["it"]


def test_a_failure_leaves_the_old_one(old: Path):
    with pytest.raises(OutputError, match="it: No such file"), atomic_folder(old) as folder:
        (folder / "absent").rename(folder / "content")
    assert (old / "content").read_text() == "old"
    assert names(old.parent) == ["it"]


def test_another_files_trouble_is_not_said_of_the_output(old: Path):
    with pytest.raises(FileNotFoundError), atomic_folder(old):
        Path("absent").read_bytes()
    assert names(old.parent) == ["it"]


def test_two_writers_of_one_folder(tmp_path: Path, way: str):
    path, troubles = tmp_path / "it", []

    def write(text: str) -> None:
        for _ in range(30):
            try:
                with atomic_folder(path) as folder:
                    (folder / "content").write_text(text)
                if way == "exchanged":  # with two renamings a reader may find none for a moment
                    assert (path / "content").read_text() in ("a", "b")
            except Exception as error:
                troubles.append(error)

    threads = [threading.Thread(target=write, args=(text,)) for text in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert troubles == []
    assert names(tmp_path) == ["it"]


KILLED = """
import sys, time
from pathlib import Path
from toolchain.support.files import atomic_folder, atomic_write
with atomic_folder(Path("it")) as folder, atomic_write(Path("file")) as file:
    (folder / "content").write_text("half")
    file.write(b"half")
    file.flush()
    print("begun", flush=True)
    time.sleep(60)
"""


def test_what_a_killed_writer_left_is_removed_by_the_next(tmp_path: Path):
    process = subprocess.Popen([sys.executable, "-c", KILLED], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        with atomic_write(tmp_path / "other"):
            pass
        assert len(names(tmp_path)) == 3  # it lives: its files are left alone
    finally:
        process.kill()
        process.communicate()
    assert len(names(tmp_path)) == 3
    with atomic_write(tmp_path / "file") as file:
        file.write(b"whole")
    assert names(tmp_path) == ["file", "other"]
    assert (tmp_path / "file").read_bytes() == b"whole"


def test_a_link_to_a_folder_stays_a_link(old: Path):
    link = old.with_name("link")
    link.symlink_to(old)
    with atomic_folder(link) as folder:
        (folder / "content").write_text("new")
    assert link.is_symlink()
    assert (old / "content").read_text() == "new"
    assert names(old.parent) == ["it", "link"]


def test_a_signal_waits_until_a_scratch_folder_is_gone(monkeypatch: pytest.MonkeyPatch):
    rmtree = []

    def interrupted(path: Path, **_: object) -> None:
        signal.raise_signal(signal.SIGINT)
        rmtree.append(path)
        os.rmdir(path)

    monkeypatch.setattr("toolchain.support.files.shutil.rmtree", interrupted)
    with pytest.raises(KeyboardInterrupt), scratch_folder() as folder:
        pass
    assert rmtree == [folder]
    assert not folder.exists()


@pytest.mark.parametrize(
    ("name", "folder", "sentence"),
    [
        ("file/x", False, "file is not a folder"),
        ("file/x/y/z", True, "file is not a folder"),
        ("file", True, "it is a file, and a folder is to be made"),
        ("folder", False, "it is a folder"),
        ("pipe", False, "it is no plain file, and would be replaced by one"),
        ("pipe/x", False, "is not a folder"),
        ("loop", False, "levels of symbolic links"),
        ("loop/x", True, "levels of symbolic links"),
        ("n" * 300, False, "name too long"),
        ("absent/" + "n" * 300, True, "name too long"),
        ("a\0b", True, "no file can be called that"),
    ],
)
def test_places_that_cannot_be_written(tmp_path: Path, name: str, folder: bool, sentence: str):
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    before = names(tmp_path)
    with pytest.raises(OutputError, match=sentence):
        check_writable(tmp_path / name, folder=folder)
    with pytest.raises(OutputError, match=sentence):
        (atomic_folder if folder else atomic_write)(tmp_path / name).__enter__()
    assert names(tmp_path) == before


def test_places_that_can_be_written_are_left_as_they_are(old: Path):
    check_writable(old, folder=True)
    check_writable(old.parent / "a" / "b" / "c", folder=True)
    check_writable(old / "content")
    assert names(old.parent) == ["it"]
    assert names(old) == ["content"]


def test_a_device_is_not_replaced_by_a_file():
    device = Path("/dev/full")
    if not device.exists():
        pytest.skip("no /dev/full here")
    with pytest.raises(OutputError, match="no plain file"), atomic_write(device):
        pass


def test_a_folder_that_may_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refused(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("toolchain.support.files.tempfile.TemporaryFile", refused)
    with pytest.raises(OutputError, match="Permission denied; choose another place with -o"):
        check_writable(tmp_path / "x")


def test_a_disk_without_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(**_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("toolchain.support.files.tempfile.TemporaryFile", full)
    with pytest.raises(OutputError, match="No space left on device; free some space, or choose another place"):
        check_writable(tmp_path / "x")


def test_two_files_of_one_folder_at_once(tmp_path: Path):
    with atomic_write(tmp_path / "a") as first, atomic_write(tmp_path / "b") as second:
        first.write(b"1")
        second.write(b"2")
    assert ((tmp_path / "a").read_bytes(), (tmp_path / "b").read_bytes()) == (b"1", b"2")
