"""Finetuning as a user meets it: it learns, goes on after an interruption, and says what is wrong."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="training needs the extra `train`")

from tests import sr_models  # noqa: E402
from tests.answers import document  # noqa: E402
from tests.conftest import photograph  # noqa: E402
from toolchain.cli import main  # noqa: E402
from toolchain.frontend import is_quantized  # noqa: E402
from toolchain.quantize import IntegerReference, canonicalize  # noqa: E402
from toolchain.training import checkpoint, finetune  # noqa: E402

pytestmark = pytest.mark.train
torch.set_num_threads(1)
QUICK = ("--steps", "80", "--batch", "4", "--patch", "24", "--rate", "0.02")


@pytest.fixture
def photos(tmp_path: Path) -> str:
    (tmp_path / "photos").mkdir()
    for index in range(5):
        Image.fromarray(photograph(70, 80, index)).save(tmp_path / "photos" / f"{index}.png")
    return str(tmp_path / "photos")


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finetune, "CYCLE", 40)


@pytest.fixture
def words(photos: str, tmp_path: Path) -> list[str]:
    """Of a command that is quick, on a network with functions, of whose weights' bits little is left."""
    onnx.save(sr_models.espcn(), tmp_path / "model.onnx")
    model, out = str(tmp_path / "model.onnx"), str(tmp_path / "tuned.onnx")
    return ["finetune", model, "--photos", photos, "-o", out, *QUICK, "--weight-bits", "2"]


def test_what_comes_out_is_better_and_deployed_as_it_is(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main([*words, "--json"]) == 0
    found = document(capsys)["result"]
    assert found["after"] > found["before"]
    assert found["after"] == max(found["cycles"])
    assert 0 <= found["changed"] <= found["weights"]
    model = onnx.load(tmp_path / "tuned.onnx")
    assert is_quantized(model)
    assert any(item.data_type == onnx.TensorProto.INT4 for item in model.graph.initializer)
    given = canonicalize(model).model
    low = photograph(20, 30, 9)[..., : given.graph.input[0].type.tensor_type.shape.dim[1].dim_value]
    assert main(["deploy", str(tmp_path / "tuned.onnx"), "-o", str(tmp_path / "out"), "--no-report"]) == 0
    kept = onnx.load(next((tmp_path / "out").glob("*.clipfree")) / "model.qdq.onnx")
    np.testing.assert_array_equal(IntegerReference(given).run(low), IntegerReference(canonicalize(kept).model).run(low))
    assert not list(tmp_path.glob("*.npz"))


def test_a_codebook_is_learnt_and_deployed_as_it_is(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    words += ["--codebook", "--rate", "0.1"]
    with monkeypatch.context() as patched:
        patched.setattr(finetune, "_error", lambda model, judges: 1.0)
        assert main([*words, "--steps", "1"]) == 0
    calibrated = [_entries(step) for step in _convolutions(tmp_path / "tuned.onnx")]
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    found = document(capsys)["result"]
    assert found["after"] > found["before"]
    learnt = [_entries(step) for step in _convolutions(tmp_path / "tuned.onnx")]
    assert all(len(book) <= 4 for book in learnt)
    assert learnt != calibrated
    model = onnx.load(tmp_path / "tuned.onnx")
    assert any(item.data_type == onnx.TensorProto.UINT4 for item in model.graph.initializer)
    assert main(["deploy", str(tmp_path / "tuned.onnx"), "-o", str(tmp_path / "out"), "--no-report"]) == 0
    kept = next((tmp_path / "out").glob("*.clipfree")) / "model.qdq.onnx"
    assert [_entries(step) for step in _convolutions(kept)] == learnt


@pytest.mark.parametrize("codebook", [False, True])
def test_a_run_that_was_stopped_goes_on(
    codebook: bool,
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    words += ["--codebook"] * codebook
    monkeypatch.setattr(finetune, "_SAVED", 7)
    assert main(words) == 0
    whole = (tmp_path / "tuned.onnx").read_bytes()
    (tmp_path / "tuned.onnx").unlink()
    save, saved = checkpoint.save, []
    with monkeypatch.context() as patched:

        def stop(path: Path, **further: object) -> None:
            save(path, **further)  # type: ignore[arg-type]
            saved.append(path)
            if len(saved) == 8:  # in the second cycle
                raise KeyboardInterrupt

        patched.setattr(finetune.checkpoint, "save", stop)
        assert main(words) == 130
    assert not (tmp_path / "tuned.onnx").exists()
    assert main([*words, "--seed", "5"]) == 2
    assert "belongs to a run with other settings or photographs; delete it" in capsys.readouterr().err
    assert main(words) == 0
    assert (tmp_path / "tuned.onnx").read_bytes() == whole


def test_what_gains_nothing_is_handed_out_as_it_was(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(finetune, "_error", lambda model, judges: 1.0)
    assert main([*words, "--steps", "2"]) == 0
    assert "training gained nothing: " in capsys.readouterr().out
    first = onnx.load(tmp_path / "tuned.onnx")
    assert main([*words, "--steps", "1"]) == 0
    assert first.graph == onnx.load(tmp_path / "tuned.onnx").graph


def test_a_quantized_network_learns_from_its_teacher(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main([*words, "--steps", "1"]) == 0
    (tmp_path / "tuned.onnx").rename(tmp_path / "given.onnx")
    again = ["finetune", str(tmp_path / "given.onnx"), *words[2:6], *QUICK]
    assert main(again) == 3
    assert "quantized already, and says nothing of what it was; name the float model with --teacher" in (
        capsys.readouterr().err
    )
    assert main([*again, "--teacher", str(tmp_path / "given.onnx")]) == 3
    assert "it has nothing to teach" in capsys.readouterr().err
    assert main([*again, "--teacher", words[1], "--weight-bits", "4"]) == 2
    assert "its weights keep their bits" in capsys.readouterr().err
    onnx.save(sr_models.xlsr(), tmp_path / "other.onnx")
    assert main([*again, "--teacher", str(tmp_path / "other.onnx")]) == 2
    assert re.search(r"the teacher other.onnx is x\d RGB, and given.onnx is x\d luma", capsys.readouterr().err)
    capsys.readouterr()
    assert main([*again, "--teacher", words[1], "--json"]) == 0
    found = document(capsys)["result"]
    assert found["after"] > found["before"]
    codes = [np.abs(step.convolution.weight) for step in _convolutions(tmp_path / "tuned.onnx")]
    assert all(np.quantile(magnitudes, 0.9) <= 7 for magnitudes in codes)  # the rest are outliers


def test_as_many_steps_as_fit(words: list[str], capsys: pytest.CaptureFixture[str]):
    place = words.index("--steps")
    assert main([*words[:place], *words[place + 2 :], "--minutes", "0.000001", "--json"]) == 0
    assert document(capsys)["result"]["steps"] == 7


@pytest.mark.parametrize(
    ("further", "code", "said"),
    [
        (["--patch", "200"], 4, "give larger photographs, or a smaller --patch"),
        (["--rate", "7"], 2, "a rate of at most 1"),
        (["--minutes", "3"], 2, "give one of them"),
        (["--photos", "nowhere"], 2, "there is no folder nowhere; --photos names a folder of pictures"),
        (["--weight-bits", "conv=1"], 4, "2 to 8"),
    ],
)
def test_mistakes(words: list[str], further: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]):
    assert main([*words, *further]) == code
    err = capsys.readouterr().err
    assert said in err
    assert "Traceback" not in err


def test_photographs_that_teach_nothing(words: list[str], photos: str, capsys: pytest.CaptureFixture[str]):
    for path in sorted(Path(photos).iterdir())[3:]:
        path.unlink()
    assert main(words) == 4
    assert "3 photographs are too few to learn from" in capsys.readouterr().err
    for index in range(5):
        Image.new("RGB", (70, 80), (9, 9, 9)).save(Path(photos) / f"{index}.png")
    assert main(words) == 4
    assert "of one flat colour" in capsys.readouterr().err


def test_without_pytorch(words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(words) == 2
    assert "needs PyTorch, which is not installed; pip install 'clipfree[train]'" in capsys.readouterr().err


def _entries(step: Any) -> list[int]:
    return [int(entry) for entry in np.unique(step.convolution.weight)]


def _convolutions(path: Path) -> list[Any]:
    steps = IntegerReference(canonicalize(onnx.load(path)).model).program.steps
    return [step for step in steps if hasattr(step, "convolution")]
