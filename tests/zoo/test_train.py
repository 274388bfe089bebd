"""The trainer, where PyTorch is installed: it learns, goes on after an interruption, and exports what it trained."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

torch = pytest.importorskip("torch", reason="the trainer needs the extra `train`")

from toolchain.errors import InputError  # noqa: E402
from toolchain.zoo import train as trainer  # noqa: E402
from toolchain.zoo.nets import NETWORKS  # noqa: E402

PLAN = trainer.Plan("xlsr_x2", steps=6, batch=2, patch=8, sizes=(1.0,))


def weights(path: Path) -> dict[str, np.ndarray]:
    return {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}


def test_rates_rise_and_fall():
    plan = trainer.Plan("xlsr_x3", steps=1000)
    rates = [trainer.rate(plan, step) for step in range(1000)]
    assert rates[0] == plan.start_rate
    assert max(rates) == rates[20] == plan.peak_rate
    assert rates[:21] == sorted(rates[:21])
    assert rates[20:] == sorted(rates[20:], reverse=True)
    assert rates[-1] == pytest.approx(plan.end_rate, rel=0.3)


def test_charbonnier():
    assert float(trainer.charbonnier(torch.zeros(4), torch.zeros(4))) == pytest.approx(1e-3)
    assert float(trainer.charbonnier(torch.full((4,), 3.0), torch.zeros(4))) == pytest.approx(3.0, rel=1e-4)


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_networks(name: str):
    net = NETWORKS[name]()
    out = net(torch.rand(1, 3, 5, 7))
    assert tuple(out.shape) == (1, 3, 5 * net.scale, 7 * net.scale)
    if name == "xlsr_x3":
        assert sum(p.numel() for p in net.parameters()) == 21_947


def test_interrupted_training_ends_in_the_same_network(photo_folder: Path, tmp_path: Path,
                                                       monkeypatch: pytest.MonkeyPatch):
    whole = trainer.train(PLAN, photo_folder, tmp_path / "whole", every=2)
    real, calls = trainer.charbonnier, []

    def killed(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setitem(trainer.LOSSES, "charbonnier", killed)
    with pytest.raises(KeyboardInterrupt):
        trainer.train(PLAN, photo_folder, tmp_path / "parts", every=2)
    monkeypatch.setitem(trainer.LOSSES, "charbonnier", real)
    parts = trainer.train(PLAN, photo_folder, tmp_path / "parts", every=2)
    first, second = weights(whole), weights(parts)
    assert first.keys() == second.keys()
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name], err_msg=name)
    card = json.loads(whole.with_suffix(".json").read_text())
    assert card["sha256"] == hashlib.sha256(whole.read_bytes()).hexdigest()
    assert card["photographs"] == ["photo0.png", "photo1.png", "photo2.png"]
    (out,) = ReferenceEvaluator(onnx.load(whole)).run(None, {"input": np.zeros((1, 3, 5, 7), np.float32)})
    assert out.shape == (1, 3, 10, 14)
    with pytest.raises(InputError, match="other settings"):
        trainer.train(dataclasses.replace(PLAN, steps=7), photo_folder, tmp_path / "parts")


def test_a_last_stage_starts_from_the_averaged_weights(photo_folder: Path, tmp_path: Path):
    first = trainer.train(PLAN, photo_folder, tmp_path / "first", every=2)
    checkpoint = tmp_path / "first" / "xlsr_x2.checkpoint.npz"
    plan = dataclasses.replace(trainer.refined("xlsr_x2", checkpoint, 1, seed=2), batch=2, patch=8, sizes=(1.0,),
                               start_rate=0.0)
    second = trainer.train(plan, photo_folder, tmp_path / "second", start=checkpoint)
    before, after = weights(first), weights(second)
    for name, value in before.items():
        np.testing.assert_allclose(value, after[name], atol=1e-7, err_msg=name)
    card = json.loads(second.with_suffix(".json").read_text())
    assert card["start"] == hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert card["loss"] == "squared"
    with pytest.raises(InputError, match="cannot read"):
        trainer.refined("xlsr_x2", tmp_path / "nothing.npz", 1, seed=2)


def test_a_damaged_checkpoint_is_refused(photo_folder: Path, tmp_path: Path):
    (tmp_path / "xlsr_x2.checkpoint.npz").write_bytes(b"no archive")
    with pytest.raises(InputError, match="is not a checkpoint"):
        trainer.train(PLAN, photo_folder, tmp_path)


def test_command_line(photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    code = trainer.main(["xlsr_x2", "--photos", str(tmp_path), "--out", str(tmp_path), "--steps", "1"])
    assert code == InputError.exit_code
    assert "holds no photograph" in capsys.readouterr().err
