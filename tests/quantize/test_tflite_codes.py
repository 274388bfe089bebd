"""Full-integer TensorFlow Lite files keep their codes: what comes out is what the file's own arithmetic gives."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.answers import answer
from tests.quantize.helpers import picture
from tests.tflite_files import integer_enlarger, tflite
from toolchain.cli import main
from toolchain.frontend import load_model
from toolchain.images import read_photo
from toolchain.quantize import IntegerReference, canonicalize

Array = np.ndarray


class ByTheFile:
    """The operators of ``integer_enlarger`` on the file's own codes, channels last, each rounded as LiteRT's default
    kernels do: float32 multipliers, half to even, saturated.
    """

    def __init__(self, data: bytes) -> None:
        self.model = tflite.Model.GetRootAs(data, 0)
        self.graph = self.model.Subgraphs(0)

    def scales(self, place: int) -> tuple[Array, int]:
        given = self.graph.Tensors(place).Quantization()
        return given.ScaleAsNumpy().astype(np.float64), int(given.ZeroPoint(0))

    def data(self, place: int) -> Array:
        tensor = self.graph.Tensors(place)
        dtype = {9: np.int8, 2: np.int32}[tensor.Type()]
        raw = self.model.Buffers(tensor.Buffer()).DataAsNumpy().tobytes()
        return np.frombuffer(raw, dtype).reshape([tensor.Shape(i) for i in range(tensor.ShapeLength())])

    def saturated(self, steps: Array, place: int) -> Array:
        low, high = (0, 255) if self.graph.Tensors(place).Type() == 3 else (-128, 127)
        return np.clip(np.rint(steps) + self.scales(place)[1], low, high).astype(np.int64)

    def convolved(self, codes: Array, source: int, weight: int, bias: int, out: int, low: bool) -> Array:
        (given, zero), (own, _), (made, black) = (self.scales(p) for p in (source, weight, out))
        taps = self.data(weight).astype(np.int64)
        padded = np.pad(codes - zero, ((1, 1), (1, 1), (0, 0)))
        height, width = codes.shape[:2]
        sums = sum(
            padded[y : y + height, x : x + width] @ taps[:, y, x].T for y in range(3) for x in range(3)
        ) + self.data(bias)
        found = self.saturated(sums.astype(np.float32) * (given * own / made).astype(np.float32), out)
        return np.maximum(found, black) if low else found

    def run(self, pixels: Array) -> Array:
        """u8 (h, w, 3) to u8 (2h, 2w, 3)."""
        ends = [self.graph.Operators(i) for i in range(self.graph.OperatorsLength())]
        inputs = [[op.Inputs(j) for j in range(op.InputsLength())] for op in ends]
        outs = [op.Outputs(0) for op in ends]
        codes = pixels.astype(np.int64) + self.scales(outs[0])[1]
        inner = self.convolved(codes, *inputs[1], outs[1], True)
        detail = self.convolved(inner, *inputs[2], outs[2], False)
        total = np.zeros(detail.shape, np.float32)
        for part, place in ((np.concatenate([codes] * 4, -1), outs[3]), (detail, outs[2])):
            (scale, zero), (made, _) = self.scales(place), self.scales(outs[4])
            total = total + (part - zero).astype(np.float32) * (scale / made).astype(np.float32)
        summed = self.saturated(total, outs[4])
        (scale, zero), (made, black) = self.scales(outs[4]), self.scales(outs[7])
        last = self.saturated((summed - zero).astype(np.float32) * (scale / made).astype(np.float32), outs[7])
        last = np.maximum(last, black) + 128
        height, width = last.shape[:2]
        shuffled = last.reshape(height, width, 2, 2, 3).transpose(0, 2, 1, 3, 4)
        return shuffled.reshape(2 * height, 2 * width, 3).astype(np.uint8)


@pytest.mark.parametrize(
    "options",
    [{}, {"dtype": np.int8}, {"pixel": 1.0}, {"pixel": 1.02}, {"dtype": np.int8, "pixel": 1.0}, {"end": 0.9987}],
    ids=str,
)
def test_kept_roundings_give_the_bytes_of_the_file(options: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(integer_enlarger(**options))
    by_file = ByTheFile(path.read_bytes())
    network = IntegerReference(canonicalize(load_model(path), keep_rounding=True).model)
    for pixels in (picture(19, 23, 3), np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)):
        np.testing.assert_array_equal(network.run(pixels), by_file.run(pixels))


@pytest.mark.parametrize(
    ("options", "spelling"),
    [
        ({"pixel": 1.0}, "Min+Relu"),
        ({"pixel": 1.0, "end": 0.9987}, "Clip"),
        ({"pixel": 1.0, "dtype": np.float32}, "Min+Relu"),
    ],
    ids=str,
)
def test_the_clip_goes_whatever_codes_stand_for(options: dict[str, Any], spelling: str, tmp_path: Path) -> None:
    """White is 255.15 before the end's own codes, as 127 - -116 steps of 1.05 are."""
    path = tmp_path / "net.tflite"
    path.write_bytes(integer_enlarger(**options))
    found = canonicalize(load_model(path))
    assert found.clip is not None
    assert (found.clip.low, found.clip.high, found.clip.spelling) == (0.0, 255.0, spelling)
    assert not {"Min", "Clip"} & {node.op_type for node in found.model.graph.node}


def test_by_default_less_is_rounded_and_the_clip_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(integer_enlarger())
    model = load_model(path)
    given, kept = canonicalize(model), canonicalize(model, keep_rounding=True)
    assert given.clip is not None
    assert given.clip.spelling.startswith("Min+Relu")
    assert (given.clip.low, given.clip.high) == (0.0, 255.0)
    assert not {"Min", "Clip"} & {node.op_type for node in given.model.graph.node}
    count = [sum(node.op_type == "QuantizeLinear" for node in one.model.graph.node) for one in (given, kept)]
    assert count[0] < count[1]
    assert not any("rounded again" in change for change in given.recipe.changes)
    pixels = picture(40, 44, 3)
    difference = np.abs(
        IntegerReference(given.model).run(pixels).astype(int) - ByTheFile(path.read_bytes()).run(pixels).astype(int)
    )
    assert difference.max() <= 1


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_a_file_goes_the_whole_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, photo = tmp_path / "net.tflite", tmp_path / "photo.png"
    path.write_bytes(integer_enlarger(pixel=1.0))
    Image.fromarray(picture(61, 75, 3)).save(photo)
    assert main(["inspect", str(path), "--target", "host", "--target", "cortex-a76"]) == 0
    said = capsys.readouterr().out
    assert "final clip: 0..255" in said
    assert said.count(": all in integers") == 2
    assert main(["deploy", str(path), "-o", str(tmp_path), "--keep-rounding"]) == 0
    bundle = tmp_path / "net.clipfree"
    assert answer(capsys, "verify", str(bundle))["equal"] is True
    results = []
    for tile in ("off", "24"):
        out = tmp_path / f"{tile}.png"
        assert main(["run", str(bundle), str(photo), "-o", str(out), "--tile", tile]) == 0
        results.append(read_photo(out).pixels)
    np.testing.assert_array_equal(*results)
    np.testing.assert_array_equal(results[0], ByTheFile(path.read_bytes()).run(picture(61, 75, 3)))
    (tmp_path / "hr").mkdir()
    Image.fromarray(picture(90, 84, 3)).save(tmp_path / "hr" / "a.png")
    found = answer(capsys, "evaluate", str(bundle), "--hr", str(tmp_path / "hr"), "--compare", str(path))
    assert found["mean"]["against_compared"]["psnr_rgb"] > 50
    assert main(["represent", str(path), "--calib", str(tmp_path / "hr"), "-o", str(tmp_path / "r")]) == 3


def test_a_float_file_has_no_roundings_to_keep(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tests.tflite_files import enlarger

    path = tmp_path / "net.tflite"
    path.write_bytes(enlarger()[0])
    assert main(["deploy", str(path), "-o", str(tmp_path), "--keep-rounding"]) == 4
    assert "it has no roundings to keep" in capsys.readouterr().err
