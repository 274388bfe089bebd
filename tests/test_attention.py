"""Networks that multiply tensors, or look at the whole picture, through every command, compiled."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from tests.answers import answer
from tests.conftest import photograph
from tests.sr_models import attention, span
from toolchain.cli import main
from toolchain.images import read_photo

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")


def deployed(model: onnx.ModelProto, photo_folder: Path, folder: Path) -> Path:
    """The bundle of ``model``, beside the file."""
    path = folder / f"{model.graph.name}.onnx"
    onnx.save(model, path)
    assert main(["deploy", str(path), "--calib", str(photo_folder), "-o", str(folder), "--budget", "0"]) == 0
    return path.with_suffix(".clipfree")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(photograph(61, 83, 4)).save(path)
    return path


def test_features_multiplied_by_themselves(photo: Path, photo_folder: Path, tmp_path: Path, capsys):
    bundle = deployed(span(), photo_folder, tmp_path)
    assert "MACs; float:" not in capsys.readouterr().out
    assert answer(capsys, "verify", bundle)["equal"] is True
    assert main(["inspect", str(tmp_path / "span.onnx"), "--target", "host"]) == 0
    assert "all in integers\n" in capsys.readouterr().out
    pictures = []
    for tile in ("off", "40", "17"):
        path = tmp_path / f"{tile}.png"
        assert main(["run", str(bundle), str(photo), "-o", str(path), "--tile", tile]) == 0
        pictures.append(read_photo(path).pixels)
    assert all(np.array_equal(pictures[0], other) for other in pictures[1:])


def test_channel_attention_looks_at_the_whole_picture(photo: Path, photo_folder: Path, tmp_path: Path, capsys):
    bundle = deployed(attention(), photo_folder, tmp_path)
    assert "MACs; float:" not in capsys.readouterr().out
    assert answer(capsys, "verify", bundle)["equal"] is True
    assert main(["inspect", str(tmp_path / "attention.onnx"), "--target", "host"]) == 0
    said = capsys.readouterr().out
    assert "receptive field of the whole picture" in said
    assert "all in integers; rows stream in 3 parts, with whole tensors between them, for GlobalAveragePool" in said
    assert main(["run", str(bundle), str(photo), "-o", str(tmp_path / "x.png"), "--tile", "40"]) != 0
    assert "looks at the whole picture at once and cannot run in tiles" in capsys.readouterr().err
    pictures = []
    for memory in ("1000", "1"):
        path = tmp_path / f"{memory}.png"
        assert main(["run", str(bundle), str(photo), "-o", str(path)]) == 0
        pictures.append(read_photo(path).pixels)
    assert np.array_equal(*pictures)
