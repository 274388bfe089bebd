"""The trainer, where PyTorch is installed: it learns, goes on after an interruption, and exports what it trained."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

torch = pytest.importorskip("torch", reason="the trainer needs the extra `train`")

from toolchain.support.errors import InputError, OutputError  # noqa: E402
from toolchain.zoo import export  # noqa: E402
from toolchain.zoo import train as trainer  # noqa: E402
from toolchain.zoo.nets import NETWORKS  # noqa: E402

pytestmark = pytest.mark.train
torch.set_num_threads(1)  # patches of 8 pixels: threads cost more than they bring

PLAN = trainer.TrainingPlan("xlsr_x2", steps=6, batch=2, patch=8, sizes=(1.0,))
PARAMETERS = {
    "xlsr_x2": 17_612,
    "xlsr_x3": 21_947,
    "xlsr_x4": 28_016,
    "abpn_x3": 42_539,
    "espcn_x3": 31_131,
    "quicksrnet_small_x2": 22_860,
}


def weights(net: Any) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in net.state_dict().items()}


def test_the_rate_rises_and_falls():
    plan = trainer.TrainingPlan("xlsr_x3", steps=1000, warmup=0.02)
    shares = [trainer.share(plan, step) for step in range(1000)]
    assert max(shares) == shares[19] == 1.0
    assert shares[:20] == sorted(shares[:20])
    assert shares[20:] == sorted(shares[20:], reverse=True)
    assert 0 < shares[-1] < 0.01
    assert 0 < shares[0] < 0.1


def test_charbonnier():
    assert float(trainer.charbonnier(torch.zeros(4), torch.zeros(4))) == pytest.approx(1e-3)
    assert float(trainer.charbonnier(torch.full((4,), 3.0), torch.zeros(4))) == pytest.approx(3.0, rel=1e-4)


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_networks(name: str, tmp_path: Path):
    torch.manual_seed(0)
    net = NETWORKS[name]()
    assert f"_x{net.scale}" in name
    picture = torch.rand(1, net.channels, 5, 7)
    with torch.no_grad():
        trained, deployed = net.train()(picture), net.eval()(picture)
    assert tuple(deployed.shape) == (1, net.channels, 5 * net.scale, 7 * net.scale)
    if not any(isinstance(module, torch.nn.BatchNorm2d) for module in net.modules()):
        # The collapsed convolution that training runs is the sum of the branches, borders included.
        np.testing.assert_allclose(trained.numpy(), deployed.numpy(), atol=1e-5)
    if name in PARAMETERS:
        assert sum(p.numel() for p in net.parameters()) == PARAMETERS[name]
    path = export.write_onnx(net, tmp_path / f"{name}.onnx")
    (out,) = ReferenceEvaluator(onnx.load(path)).run(None, {"input": picture.numpy()})
    np.testing.assert_allclose(out, deployed.numpy(), atol=1e-5)


@pytest.mark.parametrize("name", ["xlsr_x2", "sesr_m5_x2", "ecbsr_m4c16_x2", "repvgg_oabn_x3"])
def test_it_learns(name: str, photo_folder: Path, tmp_path: Path):
    plan = trainer.TrainingPlan(name, steps=40, batch=4, patch=8, sizes=(1.0,))
    losses = [loss for _, loss in trainer.train(plan, photo_folder, tmp_path, every=10).losses]
    assert losses[-1] < 0.8 * losses[0]


def test_interrupted_training_ends_in_the_same_network(
    photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    whole = trainer.train(PLAN, photo_folder, tmp_path / "whole", every=2)
    real, calls = trainer.charbonnier, []

    def killed(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(trainer, "charbonnier", killed)
    with pytest.raises(KeyboardInterrupt):
        trainer.train(PLAN, photo_folder, tmp_path / "parts", every=2)
    monkeypatch.setattr(trainer, "charbonnier", real)
    parts = trainer.train(PLAN, photo_folder, tmp_path / "parts", every=2)
    first, second = weights(whole.network), weights(parts.network)
    assert first.keys() == second.keys()
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name], err_msg=name)
    assert parts.card["photographs"] == ["photo0.png", "photo1.png", "photo2.png"]
    assert [step for step, _ in parts.losses] == [2, 4, 6]
    with pytest.raises(InputError, match="other settings"):
        trainer.train(dataclasses.replace(PLAN, steps=7), photo_folder, tmp_path / "parts")


@pytest.mark.parametrize("content", [b"no archive", b""])
def test_a_damaged_checkpoint_is_refused_and_kept(photo_folder: Path, tmp_path: Path, content: bytes):
    path = tmp_path / "xlsr_x2.checkpoint.npz"
    path.write_bytes(content)
    with pytest.raises(InputError, match="is not a checkpoint"):
        trainer.train(PLAN, photo_folder, tmp_path)
    assert path.read_bytes() == content


def test_a_checkpoint_of_another_network_is_refused(photo_folder: Path, tmp_path: Path):
    trainer.train(PLAN, photo_folder, tmp_path, every=6)
    (tmp_path / "xlsr_x2.checkpoint.npz").rename(tmp_path / "xlsr_x3.checkpoint.npz")
    with pytest.raises(InputError, match="is not a checkpoint of this network"):
        trainer.train(dataclasses.replace(PLAN, network="xlsr_x3"), photo_folder, tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(photo_folder: Path, tmp_path: Path):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError):
        trainer.train(PLAN, photo_folder, tmp_path)


def test_command_line(photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    arguments = [
        "xlsr_x2",
        "--photos",
        str(photo_folder),
        "--out",
        str(tmp_path),
        "--steps",
        "2",
        "--patch",
        "8",
        "--batch",
        "2",
        "--score",
        str(photo_folder),
    ]
    assert trainer.main(arguments) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(tmp_path / "xlsr_x2.onnx")
    card = json.loads((tmp_path / "xlsr_x2.json").read_text())
    assert card["psnr_y"].keys() == {photo_folder.name, "border"}
    assert card["steps"] == 2
    assert (tmp_path / "xlsr_x2.loss.png").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["--photos", "nowhere"], "there is no folder nowhere"),
        (["--patch", "5000"], "holds no photograph of at least 10000 x 10000 pixels"),
        (["--patch", "4"], "patches of 8 pixels"),
        (["--steps", "0"], "at least 1 step"),
        (["--score", "nowhere"], "there is no folder nowhere"),
    ],
)
def test_mistakes_get_a_sentence(
    change: list[str], said: str, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    arguments = ["xlsr_x2", "--photos", str(photo_folder), "--out", str(tmp_path), "--steps", "1", "--patch", "8"]
    assert trainer.main([*arguments, *change]) == InputError.exit_code
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: ...")])
def test_too_little_memory(
    error: Exception,
    photo_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    def scarce(*_arguments: Any) -> Any:
        raise error

    monkeypatch.setattr(trainer, "charbonnier", scarce)
    assert trainer.main(["xlsr_x2", "--photos", str(photo_folder), "--out", str(tmp_path), "--patch", "8"]) == 2
    assert "--batch" in capsys.readouterr().err
    sys.stderr.flush()
