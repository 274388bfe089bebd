"""Networks with weights of few bits: a table that goes on where it was stopped, and the committed one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image

import low_bits
from result_cache import ROOT
from tests import sr_models
from tests.conftest import photograph
from toolchain.frontend import normalize

RESULT = ROOT / "benchmarks" / "results" / "low_bits.json"


def test_outliers_are_of_the_convolutions_between_the_first_and_the_last() -> None:
    sr = normalize(sr_models.espcn())
    kernels = [t for t in sr.model.graph.initializer if len(t.dims) == 4]
    values = onnx.numpy_helper.to_array(kernels[1]).copy()
    values[:] = 1.0
    values[2, 0, 0, 0] = -30.0
    kernels[1].CopyFrom(onnx.numpy_helper.from_array(values, kernels[1].name))
    found = low_bits.outliers(sr)
    assert found["median"] == 1.0
    assert found["worst"] == 30.0
    assert 1.0 < found["ends"] < np.inf


def test_a_run_goes_on_where_it_was(
    photo_folder: Path, model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, said = tmp_path / "found.json", []
    words = [str(model_file), "--calib", str(photo_folder), "--photos", str(photo_folder), "--hr", str(photo_folder)]
    words += ["--ways", "uniform8", "uniform2", "codebook3", "--kept", str(tmp_path / "kept"), "-o", str(out)]
    low_bits.main(words, said.append)
    network = json.loads(out.read_text())["networks"][model_file.stem]
    rows = network["rows"]
    assert [(row["way"], row["bits"]) for row in rows] == [("uniform", 8), ("uniform", 2), ("codebook", 3)]
    found = [row["psnr_y"][photo_folder.name] for row in rows]
    assert len(set(found)) == 3
    assert found[0] == pytest.approx(network["float"][photo_folder.name], abs=0.2)
    first = out.read_text()
    monkeypatch.setattr(low_bits, "quantize", None)  # whoever quantizes again fails
    low_bits.main(words, said.append)
    assert out.read_text() == first
    assert len(said) == 6


@pytest.mark.train
def test_a_learnt_codebook_is_measured(photo_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="training needs the extra `train`")
    out, more = tmp_path / "found.json", tmp_path / "more"
    more.mkdir()
    for index in range(5):
        Image.fromarray(photograph(70, 80, index)).save(more / f"{index}.png")
    name = "quicksrnet_small_x2"
    words = [f"zoo:{name}", "--calib", str(photo_folder), "--photos", str(more), "--hr", str(photo_folder)]
    words += ["--ways", "ClusterQAT2", "--steps", "100", "--kept", str(tmp_path / "kept"), "-o", str(out)]
    low_bits.main(words, lambda said: None)
    (row,) = json.loads(out.read_text())["networks"][name]["rows"]
    assert row["way"] == "ClusterQAT"
    assert row["after"] == max(row["before"], *row["cycles"])
    assert row["after"] > row["before"]


def test_the_committed_table_is_that_of_the_figures() -> None:
    document: dict[str, Any] = json.loads(RESULT.read_text(encoding="utf-8"))
    assert RESULT.with_suffix(".md").read_text(encoding="utf-8") == low_bits.table(document)
