"""What deploy and inspect say of a network's quality and work: losses, 16 bits, budgets, what was merged."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests import expanded, sr_models
from tests.answers import document
from tests.sr_models import Builder
from toolchain.bundle import open_bundle
from toolchain.cli import main
from toolchain.frontend import load_model, normalize
from toolchain.quantize.weight_bits import whole_output
from toolchain.support.errors import CalibrationError, QualityError

pytestmark = pytest.mark.usefixtures("without_compiler")


def test_tensors_of_16_bits(model_file: Path, photo_folder: Path, tmp_path: Path, capsys):
    words = ["deploy", str(model_file), "--calib", str(photo_folder), "--bits", "*=16"]
    assert main([*words, "-o", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"16 bits: .+; \d+\.\d% more multiply-accumulates", out)
    assert "equal to the integer reference, byte for byte, in 10 pictures" in out
    for subject in (tmp_path / "tiny.clipfree", tmp_path / "tiny.clipfree" / "model.qdq.onnx"):
        assert main(["inspect", str(subject)]) == 0
        out = capsys.readouterr().out
        assert "more multiply-accumulates" in out
        assert "for any picture: no sum exceeds 2^" in out
    tensors = json.loads((tmp_path / "tiny.clipfree" / "recipe.json").read_text())["tensors"]
    assert {"uint8", "uint16"} == {tensor["dtype"] for tensor in tensors if tensor["role"] == "activation"}


@pytest.mark.slow
def test_nested_weights(model_file: Path, photo_folder: Path, tmp_path: Path, capsys):
    words = ["deploy", str(model_file), "--calib", str(photo_folder), "-o", str(tmp_path / "whole.clipfree")]
    assert main([*words, "--bits-nested", "7,4"]) == 0
    said = re.search(
        r"nested weights: 7 bits in the first \S+ kB: .+ alone\); 4 bits in the first .+ alone\)",
        capsys.readouterr().out,
    )
    assert said
    whole, small = tmp_path / "whole.clipfree", tmp_path / "small.nested"
    assert open_bundle(whole).manifest.weights == said[0]
    assert main(["nested", str(whole), "--json"]) == 0
    members = document(capsys)["members"]
    recipe = json.loads((whole / "recipe.json").read_text())["nested"]
    assert members == [{"bits": one["bits"], "size": one["size"]} for one in recipe]
    assert main(["nested", str(whole), "--bits", "4", "-o", str(small)]) == 0
    assert f"4 bits, {members[1]['size']} bytes" in capsys.readouterr().out
    assert small.read_bytes() == (whole / "model.nested").read_bytes()[: members[1]["size"]]
    assert main(["nested", str(whole), "--bits", "5", "-o", str(small)]) == 3
    assert "the file has no member of 5 bits; it has 7, 4" in capsys.readouterr().err
    assert main(["inspect", str(small)]) == 0
    for bits, file in ((7, whole / "model.nested"), (4, small)):
        made = tmp_path / f"{bits}.clipfree"
        assert main(["deploy", str(file), "--calib", str(photo_folder), "-o", str(made)]) == 0
        out = capsys.readouterr().out
        assert f"weights: {bits} bits in " in out
        assert "equal to the integer reference, byte for byte" in out
        assert main(["evaluate", str(made), "--hr", str(photo_folder)]) == 0
        scales = [tensor.scale for tensor in open_bundle(made).manifest.tensors]
        assert scales == [tensor.scale for tensor in open_bundle(whole).manifest.tensors]
        capsys.readouterr()
    first, again = (np.load(folder / "golden.npz")["output"] for folder in (whole, tmp_path / "7.clipfree"))
    np.testing.assert_array_equal(first, again)
    small.write_bytes(small.read_bytes()[:-1])
    assert main(["deploy", str(small)]) == 3
    assert "it is cut off within its part of 4 bits" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(("option", "kind"), [("--codebook", " by codebook"), ("--no-outliers", "")])
def test_weights_of_4_bits(option: str, kind: str, model_file: Path, photo_folder: Path, tmp_path: Path, capsys):
    words = ["deploy", str(model_file), "--calib", str(photo_folder), "-o", str(tmp_path), "--weight-bits", "4"]
    assert main([*words, option, "--weight-bits", f"{first_convolution(model_file)}=8"]) == 0
    out = capsys.readouterr().out
    said = re.search(rf"weights: 4 bits{kind} in \d+, 8 bits in 1 convolutions", out)
    assert said
    assert "equal to the integer reference, byte for byte" in out
    assert "16 bits" not in out
    (made,) = tmp_path.iterdir()
    assert main(["inspect", str(made)]) == 0
    assert said[0] in capsys.readouterr().out
    assert main(["verify", str(made)]) == 0
    assert main(["evaluate", str(made), "--hr", str(photo_folder)]) == 0
    assert said[0] in capsys.readouterr().err
    assert main(["inspect", str(made / "model.qdq.onnx")]) == 0
    assert "weights are stored in 4 bits or fewer" in capsys.readouterr().out
    again = tmp_path / "again.clipfree"
    assert main(["deploy", str(made / "model.qdq.onnx"), "--calib", str(photo_folder), "-o", str(again)]) == 0
    assert f"4 bits{kind}" in capsys.readouterr().out
    golden = [np.load(folder / "golden.npz")["output"] for folder in (made, again)]
    np.testing.assert_array_equal(*golden)


def first_convolution(model: Path) -> str:
    sr = normalize(load_model(model))
    return next(node.output[0] for node in sr.model.graph.node if node.op_type == "Conv")


def test_a_budget_is_spent_on_what_gains_or_not_at_all(model_file: Path, photo_folder: Path, tmp_path: Path, capsys):
    words = ["deploy", str(model_file), "--calib", str(photo_folder), "-o", str(tmp_path), "--budget"]
    assert main([*words, "0.001"]) == 0
    assert "nothing is spent: no tensor is worth 16 bits within 0.001 % more" in capsys.readouterr().out
    assert main([*words, "20", "--json"]) == 0
    calibration = document(capsys)["report"]["calibration"]
    assert calibration["budget"]["chosen"]
    assert calibration["budget"]["after"] > calibration["budget"]["before"]
    assert calibration["budget"]["after"] == pytest.approx(calibration["loss"]["psnr"])


def test_a_bound_on_the_loss_is_kept_or_it_is_said(model_file: Path, photo_folder: Path, tmp_path: Path, capsys):
    words = ["deploy", str(model_file), "--calib", str(photo_folder), "-o", str(tmp_path), "--max-loss"]
    assert main([*words, "1"]) == 0
    assert "dB below float, with no work spent on 16 bits (1 dB allowed)" in capsys.readouterr().out
    assert main([*words, "0.000001", "--json"]) == QualityError.exit_code
    captured = capsys.readouterr()
    assert "clipfree: more is lost than the 1e-06 dB asked for; the bundle is there all the same" in captured.err
    bound = json.loads(captured.out)["report"]["calibration"]["bound"]
    assert bound["after"] < bound["before"]
    assert bound["chosen"]
    recipe = json.loads((tmp_path / "tiny.clipfree" / "recipe.json").read_text())
    assert recipe["bound"] == bound
    assert recipe["settings"]["max_loss"] == 0.000001
    assert main(["verify", str(tmp_path / "tiny.clipfree")]) == 0
    capsys.readouterr()
    assert main(["inspect", str(tmp_path / "tiny.clipfree")]) == 0
    out = capsys.readouterr().out
    assert "; 1e-06 dB cannot be kept" in out


def test_bits_under_a_bound_of_cost_are_told_everywhere(photo_folder: Path, tmp_path: Path, capsys):
    onnx.save(sr_models.lossy(), tmp_path / "lossy.onnx")
    words = ["deploy", str(tmp_path / "lossy.onnx"), "--calib", str(photo_folder), "-o", str(tmp_path)]
    assert main([*words, "--budget", "size=70%", "--budget", "5", "--budget", "bops=101%"]) == 0
    lines = capsys.readouterr().out.splitlines()
    said = next(line for line in lines if "bit operations" in line)
    assert re.search(r"bit operations \d+\.\d % of 8 bits \(101 % allowed, 50.0 % the least\)", said)
    assert re.search(r"weights packed \d\.\d\d kB, \d\d\.\d% of 8 bits", said)
    assert re.search(r"\d\.\d % more work \(5 % allowed\)", said)
    bundle = tmp_path / "lossy.clipfree"
    recipe, report = (json.loads((bundle / name).read_text()) for name in ("recipe.json", "report.json"))
    assert report["calibration"]["traded"] == recipe["traded"]
    assert all(cost["spent"] <= 1.000001 * cost["most"] for cost in recipe["traded"]["costs"])
    assert recipe["traded"]["bits"]
    layers = {layer["name"]: layer["weight_bits"] for layer in report["network"]["layers"]}
    assert {whole_output(name): bits for name, bits in layers.items() if bits < 8} == recipe["traded"]["bits"]
    assert "bits of a weight" in (bundle / "report.html").read_text(encoding="utf-8")
    assert main(["inspect", str(bundle)]) == 0
    assert said in capsys.readouterr().out.splitlines()
    assert main(["verify", str(bundle)]) == 0
    capsys.readouterr()
    assert main([*words, "--budget", "bops=55%", "--max-loss", "0.0001"]) == QualityError.exit_code
    assert "clipfree: more is lost than the 0.0001 dB asked for" in capsys.readouterr().err
    assert main([*words, "--budget", "bops=30%"]) == CalibrationError.exit_code
    assert "no choice of bits keeps --budget bops=30%: the least is bops=50%" in capsys.readouterr().err
    assert main(["deploy", str(bundle / "model.qdq.onnx"), "--budget", "size=60%"]) == CalibrationError.exit_code
    assert "is quantized already" in capsys.readouterr().err


def test_little_is_spent_where_much_is_lost_and_that_is_said(photo_folder: Path, tmp_path: Path, capsys):
    onnx.save(sr_models.lossy(), tmp_path / "lossy.onnx")
    words = ["deploy", str(tmp_path / "lossy.onnx"), "--calib", str(photo_folder), "-o", str(tmp_path)]
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    said = next(line for line in lines if "dB below float" in line)
    assert re.search(r"dB below float instead of .*: 16 bits for .*; \d\.\d % more work", said)
    assert said.endswith("(more than 0.05 dB was lost; `--budget 0` spends nothing)")
    assert main(["inspect", str(tmp_path / "lossy.clipfree")]) == 0
    assert said in capsys.readouterr().out.splitlines()
    recipe = json.loads((tmp_path / "lossy.clipfree" / "recipe.json").read_text())
    assert (recipe["settings"]["max_loss"], recipe["settings"]["budget"]) == (0.05, 8.0)
    assert not recipe["bound"]["demanded"]
    assert recipe["bound"]["after"] <= 0.05 < recipe["bound"]["before"]
    (wide,) = (line for line in lines if line.startswith("  16 bits: "))
    (by_hand,) = (line.removeprefix("  by hand: ") for line in lines if line.startswith("  by hand: "))
    assert main([*words, *shlex.split(by_hand)]) == 0
    assert wide in capsys.readouterr().out.splitlines()
    assert main([*words, "--budget", "0"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^  \d\.\d{3} dB below float$", out, re.MULTILINE)
    assert "16 bits" not in out
    assert "by hand" not in out


def coarse_network() -> onnx.ModelProto:
    """Two tensors of ranges 1000 and 1 side by side that cannot be balanced: 8 bits lose the small one."""
    b = Builder(3)
    sums = []
    for gain in (1000.0, 1.0):
        made = b.node("Relu", b.conv("input", 3, 6, identity=3, bias=0))
        sums.append(b.clip(b.node("Mul", made, b.const(gain)), 0.0, 10 * gain))
    small = b.node(
        "Slice",
        b.node("Concat", *sums, axis=1),
        b.const([3], np.int64),
        b.const([9], np.int64),
        b.const([1], np.int64),
        b.const([1], np.int64),
    )
    b.depth_to_space(b.conv(small, 6, 12, identity=3, source=3, repeat=4, bias=0), 2, out="output")
    return b.model(3, 2)


def test_the_loss_is_said_and_recorded(model_file: Path, photo_folder: Path, tmp_path: Path, capsys):
    assert main(["deploy", str(model_file), "--calib", str(photo_folder), "-o", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    said = re.search(
        r"INT8 against float: (\d+\.\d) dB over 6 crops, worst (\d+\.\d) dB \(crop of photo\d.png\)", captured.out
    )
    assert said
    assert float(said[1]) >= float(said[2]) > 35
    assert "can be seen" not in captured.err
    assert main(["inspect", str(tmp_path / "tiny.clipfree")]) == 0
    assert said[0] in capsys.readouterr().out
    assert main(["inspect", str(tmp_path / "tiny.clipfree"), "--json"]) == 0
    assert f"{document(capsys)['manifest']['loss']['psnr']:.1f}" == said[1]


def test_a_loss_that_can_be_seen_is_warned_of_with_the_tensors_to_blame(photo_folder: Path, tmp_path: Path, capsys):
    onnx.save(coarse_network(), tmp_path / "coarse.onnx")
    words = ["deploy", str(tmp_path / "coarse.onnx"), "--calib", str(photo_folder), "--range", "0..1"]
    assert main([*words, "-o", str(tmp_path), "--json"]) == 0
    report = document(capsys)["report"]
    loss = report["calibration"]["loss"]
    assert loss["worst"] <= loss["psnr"] < 35
    assert loss["crops"] == 6
    assert loss["photograph"] in report["calibration"]["photographs"]
    (warning,) = [warning for warning in report["warnings"] if "can be seen" in warning]
    assert re.search(r"INT8 is no nearer to the float network than \d+\.\d dB.*most is lost in '", warning)
    assert "shows more, --max-loss or --bits keeps tensors finer" in warning
    named = re.findall(r"'(\S+)' \(\d+\.\d dB if nothing else is quantized\)", warning)
    bundle = open_bundle(tmp_path / "coarse.clipfree")
    assert named
    assert {tensor.name for tensor in bundle.manifest.tensors} >= {f"{name}_quantized" for name in named}


def test_what_is_lost_in_weights_is_not_said_to_be_cured_by_finer_tensors(photo_folder: Path, tmp_path: Path, capsys):
    b = Builder()
    weight = np.zeros((3, 3, 3, 3))
    for channel in range(3):
        weight[channel, channel, 1] = [0, 1000, -999]  # 8 bits make both of one size
    b.node("Conv", "input", b.const(weight), pads=[1] * 4, out="output")
    onnx.save(b.model(3, 1), tmp_path / "net.onnx")
    words = ["deploy", str(tmp_path / "net.onnx"), "--calib", str(photo_folder), "--range", "0..1"]
    assert main([*words, "-o", str(tmp_path)]) == 0
    err = capsys.readouterr().err
    assert "most is lost in 'output (weights)'" in err
    assert "`clipfree fidelity` shows more, --weights rounds weights in other ways" in err
    assert "--bits" not in err


def test_a_quantized_model_has_no_float_network_to_be_held_against(bundle: Path, tmp_path: Path, capsys):
    assert main(["deploy", str(bundle / "model.qdq.onnx"), "-o", str(tmp_path / "again")]) == 0
    assert "INT8 against float: not known, the model came quantized" in capsys.readouterr().out
    assert open_bundle(tmp_path / "again" / "model.qdq.clipfree").manifest.loss is None


def test_inspect_shows_what_was_merged(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    onnx.save(expanded.network("sesr", merged=False), tmp_path / "sesr.onnx")
    assert main(["inspect", str(tmp_path / "sesr.onnx"), "--json"]) == 0
    model = document(capsys)["model"]
    collapse = model["collapse"]
    assert (collapse["nodes_before"], collapse["nodes_after"]) == (16, 10)
    assert collapse["macs_after"] == model["macs_per_pixel"] < collapse["macs_before"] / 10
    merges = collapse["merges"]
    assert [merge["kernel"] for merge in merges] == [[5, 5], [3, 3], [3, 3], [5, 5]]
    assert all(merge["outliers_after"] > 2 * merge["outliers_before"] for merge in merges[1:3])  # the identity's ones

    assert main(["inspect", str(tmp_path / "sesr.onnx")]) == 0
    out = capsys.readouterr().out
    assert "linear branches: 16 operators with 25.4 kMAC per input pixel became 10 with 2.2 kMAC" in out
    assert f"{merges[1]['outliers_before']:.1f} -> {merges[1]['outliers_after']:.1f}" in out
    assert main(["inspect", "zoo:xlsr_x3"]) == 0
    assert "linear branches" not in capsys.readouterr().out
