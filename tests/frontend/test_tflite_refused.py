"""TensorFlow Lite files that cannot be read, lie, or are damaged: each ends in a sentence."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tflite_files import File, conv, integer_enlarger
from toolchain.frontend import load_model
from toolchain.frontend.tflite.convert import to_onnx
from toolchain.support.errors import ModelError

REFUSED = {
    "an operator that is not known": (lambda f, x, y: f.operator("LSTM", [x], y), r"LSTM \(number 0\)"),
    "weights that are computed": (lambda f, x, y: conv(f, [x, f.tensor((6, 3, 3, 6))], y), "weights .* are computed"),
    "an input that is left out": (lambda f, x, y: conv(f, [x, -1], y), "lacks its input 1"),
    "weights of a wrong shape": (lambda f, x, y: conv(f, [x, f.constant(np.ones((2, 2)))], y), "weights of shape"),
    "nothing made it": (lambda f, x, y: f.operator("RELU", [f.tensor((1, 2, 2, 6))], y), "read before it is made"),
    "options of another operator": (lambda f, x, y: f.operator("ADD", [x, x], y, "MulOptions"), "damaged"),
    "a tensor that does not exist": (lambda f, x, y: f.operator("ADD", [x, 999], y, "AddOptions"), "damaged"),
    "an axis that does not exist": (
        lambda f, x, y: f.operator("CONCATENATION", [x, x], y, "ConcatenationOptions", Axis=7),
        "names axis 7",
    ),
    "a block of nothing": (
        lambda f, x, y: f.operator("DEPTH_TO_SPACE", [x], y, "DepthToSpaceOptions", BlockSize=0),
        "block size of 0",
    ),
    "data of another size": (
        lambda f, x, y: f.operator("MINIMUM", [x, f.tensor((7,), data=np.ones(3))], y),
        "damaged",
    ),
    "a scale of nothing": (
        lambda f, x, y: f.operator("MINIMUM", [x, f.constant([1], np.int8, scale=0.0)], y),
        "damaged",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_said(name: str, tmp_path: Path) -> None:
    write, said = REFUSED[name]
    f = File()
    x, y = f.tensor((1, 8, 8, 6)), f.tensor((1, 8, 8, 6))
    write(f, x, y)
    path = tmp_path / "a.tflite"
    path.write_bytes(f.save([x], [y]))
    with pytest.raises(ModelError, match=said):
        load_model(path)


DAMAGED = integer_enlarger(8, 8)


@settings(max_examples=150)
@given(data=st.data())
def test_no_damage_leads_to_anything_but_a_sentence(data: st.DataObject) -> None:
    broken = bytearray(DAMAGED[: data.draw(st.integers(9, len(DAMAGED)))] if data.draw(st.booleans()) else DAMAGED)
    for _ in range(data.draw(st.integers(0, 6))):
        place = data.draw(st.integers(8, len(broken) - 1))
        broken[place] = data.draw(st.integers(0, 255))
    try:
        to_onnx(Path("a.tflite"), bytes(broken))
    except ModelError:
        return


def test_without_the_package_a_sentence_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(DAMAGED)
    monkeypatch.setitem(sys.modules, "tflite", None)
    with pytest.raises(ModelError, match=r"not installed; pip install 'clipfree\[tflite\]'"):
        load_model(path)
