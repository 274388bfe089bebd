"""A simulated board: the server for 64-bit Arm under QEMU, for which bundles are cross-compiled here."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import boards
from tests.answers import answer
from tests.arm import emulator
from tests.boards import Running
from tests.standin import QUICK
from tests.test_examples import UPSCALE, upscale
from toolchain.board.board import Board
from toolchain.board.pack import build_pack, compile_program
from toolchain.board.place import Place
from toolchain.bundle import Bundle, open_bundle
from toolchain.cli import main
from toolchain.schedules.database import find_log
from toolchain.schedules.records import Trial
from toolchain.support.errors import BoardError, BundleError, InputError
from toolchain.targets import find_target

pytestmark = pytest.mark.emulator

TARGET = find_target("cortex-a76")


@pytest.fixture(scope="module")
def arm_pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The server and TVM's libraries for 64-bit Arm."""
    emulator(TARGET)
    if shutil.which("aarch64-linux-gnu-g++") is None:
        pytest.skip("needs aarch64-linux-gnu-g++: apt install g++-aarch64-linux-gnu")
    out = tmp_path_factory.mktemp("arm") / "board"
    try:
        build_pack(TARGET.triple, out)
    except InputError as error:
        pytest.skip(f"needs TVM's libraries for 64-bit Arm: {error}")
    return out


@pytest.fixture(scope="module")
def arm_bundle(
    tmp_path_factory: pytest.TempPathFactory, model_file: Path, photo_folder: Path, arm_pack: Path
) -> Bundle:
    """A small XLSR for a Cortex-A76."""
    from toolchain.workflows.deploy import Request, deploy

    out = tmp_path_factory.mktemp("bundle")
    made = deploy(Request(model_file, out, photo_folder, target=TARGET.name, settings=QUICK))
    return open_bundle(made.path, for_this_machine=False)


@pytest.fixture
def arm_board(arm_pack: Path, tmp_path: Path) -> Iterator[Running]:
    with boards.board(arm_pack, tmp_path / "board", emulator=emulator(TARGET)) as running:
        yield running


def test_the_reference_s_bits_on_arm(arm_board: Running, arm_bundle: Bundle, capsys: pytest.CaptureFixture[str]):
    table = answer(capsys, "bench", arm_bundle.path, "--rpc", arm_board.address, "--size", "24x40", "--repeats", 3)
    assert all(row["median_s"] > 0 for row in table["rows"])
    assert answer(capsys, "verify", arm_bundle.path, "--rpc", arm_board.address)["equal"] is True
    assert main(["run", str(arm_bundle.path), "photo.png"]) == 6
    assert "is for aarch64, this machine is" in capsys.readouterr().err


def test_what_its_processor_can_run(arm_board: Running, capsys: pytest.CaptureFixture[str]):
    table = answer(capsys, "board", "check", "--rpc", arm_board.address)
    assert table["machine"] == "aarch64"
    assert {"asimd", "asimddp"} <= set(table["features"])
    assert {"cortex-a53", "cortex-a76"} <= set(table["targets"])
    assert "neoverse-n2" not in table["targets"]
    assert table["best"] == "cortex-a76"


def test_an_older_processor_refuses_before_it_would_crash(arm_pack: Path, arm_bundle: Bundle, tmp_path: Path):
    with (
        boards.board(arm_pack, tmp_path / "board", emulator=emulator(find_target("cortex-a53"))) as running,
        Board(Place(running.address)) as there,
        pytest.raises(BundleError, match=r"the CPU of the board lacks .*asimddp.* --target cortex-a72$"),
    ):
        there.load(arm_bundle)


def test_tuning(arm_board: Running, model_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    table = answer(
        capsys,
        "tune",
        model_file,
        "--rpc",
        arm_board.address,
        "--target",
        TARGET.name,
        "--size",
        "8x16",
        "--threads",
        1,
        "--trials",
        4,
        "--logs",
        tmp_path / "logs",
    )
    assert table["reason"] == "the trials are used up"
    log = find_log(tmp_path / "logs", TARGET)
    assert log is not None
    assert [record.status for record in log.records if isinstance(record, Trial)] == ["ok"] * 4


def test_power_fails_and_comes_back(arm_board: Running, arm_pack: Path, arm_bundle: Bundle, tmp_path: Path):
    picture, expected = arm_bundle.golden()
    with Board(Place(arm_board.address)) as there:
        there.load(arm_bundle)
        arm_board.kill()
        with pytest.raises(BoardError, match="was lost while running the library: no board answers"):
            there.upscale(picture)
    words = {"port": arm_board.address.port, "emulator": emulator(TARGET)}
    with boards.board(arm_pack, tmp_path / "again", **words) as again, Board(Place(again.address)) as there:  # type: ignore[arg-type]
        there.load(arm_bundle)
        assert (there.upscale(picture) == expected).all()


def test_the_example_on_arm(arm_pack: Path, arm_bundle: Bundle, tmp_path: Path):
    program = arm_pack / "upscale"
    compile_program(TARGET.triple, UPSCALE, program, arm_pack)
    upscale([*emulator(TARGET), str(program)], arm_bundle, tmp_path)
