from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import convert_model_to_external_data

from tests.sr_models import Builder, espcn, fsrcnn, xlsr
from toolchain.frontend import is_quantized, load, load_model, normalize
from toolchain.quantize.floats import FloatModel
from toolchain.support.errors import ModelError


def saved(model: onnx.ModelProto, path: Path) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture
def external(tmp_path: Path) -> Path:
    """A model whose weights lie in ``weights.bin`` beside it."""
    model = espcn()
    convert_model_to_external_data(model, location="weights.bin", size_threshold=0)
    onnx.save_model(model, tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def altered(path: Path, **entries: str) -> Path:
    """The same model with other entries in the first tensor's external data; None removes."""
    model = onnx.load(path, load_external_data=False)
    tensor = model.graph.initializer[0]
    values = {e.key: e.value for e in tensor.external_data} | entries
    del tensor.external_data[:]
    for key, value in values.items():
        tensor.external_data.add(key=key, value=value)
    return saved(model, path)


def test_a_good_file(tmp_path: Path) -> None:
    model = load_model(saved(espcn(), tmp_path / "m.onnx"))
    assert model.SerializeToString() == espcn().SerializeToString()


def test_the_newest_file_format_is_read_and_executed(tmp_path: Path) -> None:
    model = espcn()
    model.ir_version = onnx.IR_VERSION
    FloatModel(normalize(load_model(saved(model, tmp_path / "m.onnx"))).model)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"hello, this is not a model\n" * 20, "is not an ONNX file, it looks like text"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "it looks like a PNG picture"),
        (b"PK\x03\x04" + bytes(100), "it looks like a zip archive"),
        (b"PK\x03\x04" + b"archive/data.pkl" + bytes(100), "it looks like a PyTorch checkpoint"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "it looks like a Git LFS pointer"),
        (b"\x1c\x00\x00\x00TFL3" + bytes(100), "a damaged or truncated TensorFlow Lite file"),
        (b"\x08\x08", "damaged or truncated"),
        (bytes(1000), "is not an ONNX file"),
    ],
)
def test_other_files(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=sentence) as caught:
        load_model(path)
    assert caught.value.hint
    assert caught.value.exit_code == 3


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not exist"):
        load_model(tmp_path / "none.onnx")
    with pytest.raises(ModelError, match="is a folder, not an ONNX file"):
        load_model(tmp_path)
    (tmp_path / "saved_model.pb").touch()
    with pytest.raises(ModelError, match="a folder with a TensorFlow SavedModel") as caught:
        load_model(tmp_path)
    assert "tf2onnx" in caught.value.hint


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        (b"PK\x03\x04" + b"archive/data.pkl", "torch.onnx.export"),
        (b"\x1c\x00\x00\x00TFL3", "export or download it again"),
        (b"version https://git-lfs", "git lfs pull"),
    ],
)
def test_the_next_step_is_named(tmp_path: Path, content: bytes, hint: str) -> None:
    (tmp_path / "m.onnx").write_bytes(content + bytes(100))
    with pytest.raises(ModelError) as caught:
        load_model(tmp_path / "m.onnx")
    assert hint in caught.value.hint


def test_a_pipe_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "m.onnx")
    with pytest.raises(ModelError, match="not a regular file"):
        load_model(tmp_path / "m.onnx")


def test_truncation_anywhere_is_noticed(tmp_path: Path) -> None:
    data = espcn().SerializeToString()
    for length in [*range(1, 40, 3), *range(40, len(data) - 1, 499), len(data) - 1, len(data) - 3]:
        path = tmp_path / "m.onnx"
        path.write_bytes(data[:length])
        with pytest.raises(ModelError, match=r"damaged|truncated|not a valid ONNX|not an ONNX"):
            load_model(path)


def test_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(espcn(), tmp_path / "m.onnx")
    monkeypatch.setattr(load, "MAX_BYTES", 1000)
    with pytest.raises(ModelError, match="is larger than"):
        load_model(path)


def test_external_data_too_large(external: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "MAX_BYTES", 4000)
    with pytest.raises(ModelError, match="external data is too large"):
        load_model(external)


def test_external_data_is_read_into_the_model(external: Path) -> None:
    model = load_model(external)
    want = {t.name: numpy_helper.to_array(t) for t in espcn().graph.initializer}
    for tensor in model.graph.initializer:
        assert tensor.data_location == TensorProto.DEFAULT
        np.testing.assert_array_equal(numpy_helper.to_array(tensor), want[tensor.name])
    assert normalize(model).scale == 3


def test_external_data_in_a_folder_below(external: Path) -> None:
    below = external.parent / "data"
    below.mkdir()
    (external.parent / "weights.bin").rename(below / "weights.bin")
    model = onnx.load(external, load_external_data=False)
    for tensor in model.graph.initializer:
        tensor.external_data[0].value = "data/weights.bin"
    load_model(saved(model, external))


@pytest.mark.parametrize(
    "location",
    [
        "../weights.bin",
        "data/../../weights.bin",
        "/etc/passwd",
        "C:\\weights.bin",
        "..\\weights.bin",
        "\\\\host\\share\\weights.bin",
        "",
        "a\x00b",
    ],
)
def test_external_data_outside_the_folder(external: Path, location: str) -> None:
    (external.parent.parent / "weights.bin").write_bytes(bytes(1 << 16))
    with pytest.raises(ModelError, match=r"outside the model's folder|names no file"):
        load_model(altered(external, location=location))


@pytest.mark.parametrize("target", ["file", "folder"])
def test_links_out_of_the_folder(external: Path, tmp_path_factory: pytest.TempPathFactory, target: str) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (external.parent / "weights.bin").rename(outside / "weights.bin")
    if target == "file":
        (external.parent / "weights.bin").symlink_to(outside / "weights.bin")
    else:
        (external.parent / "data").symlink_to(outside)
        altered(external, location="data/weights.bin")
    with pytest.raises(ModelError, match="leads out of the model's folder"):
        load_model(external)


def test_a_loop_of_links(external: Path) -> None:
    (external.parent / "weights.bin").unlink()
    (external.parent / "weights.bin").symlink_to("weights.bin")
    with pytest.raises(ModelError, match=r"cannot be found|cannot read"):
        load_model(external)


def test_external_data_that_is_a_pipe(external: Path) -> None:
    (external.parent / "weights.bin").unlink()
    os.mkfifo(external.parent / "weights.bin")
    with pytest.raises(ModelError, match="not a regular file"):
        load_model(external)


def test_external_data_missing(external: Path) -> None:
    (external.parent / "weights.bin").unlink()
    with pytest.raises(ModelError, match=r"cannot read external data 'weights\.bin'"):
        load_model(external)


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ({"offset": "999999"}, "beyond the end"),
        ({"offset": "-4"}, "wrong offset"),
        ({"offset": "1e3"}, "wrong offset"),
        ({"offset": "9" * 30}, "wrong offset"),
        ({"length": "4"}, "has 4 bytes instead of"),
        ({"length": "x"}, "wrong length"),
    ],
)
def test_external_data_with_wrong_numbers(external: Path, entries: dict[str, str], sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence):
        load_model(altered(external, **entries))


def test_external_data_truncated(external: Path) -> None:
    data = external.parent / "weights.bin"
    data.write_bytes(data.read_bytes()[:-8])
    with pytest.raises(ModelError, match="beyond the end"):
        load_model(external)


def test_external_data_in_an_attribute(tmp_path: Path) -> None:
    model = espcn()
    tensor = TensorProto(name="t", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="../secret")
    model.graph.node.insert(0, helper.make_node("Constant", [], ["unused"], value=tensor))
    with pytest.raises(ModelError, match=r"outside the model's folder"):
        load_model(saved(model, tmp_path / "m.onnx"))


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.float64])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_bad_weights(tmp_path: Path, dtype: type, value: float) -> None:
    model = espcn()
    tensor = next(t for t in model.graph.initializer if t.name.startswith("weight"))
    array = numpy_helper.to_array(tensor).astype(dtype)
    array.flat[3] = value
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    with pytest.raises(ModelError, match="holds 1 NaN or infinite value"):
        load_model(saved(model, tmp_path / "m.onnx"))


def test_weights_whose_products_overflow(tmp_path: Path) -> None:
    model = espcn()
    tensor = next(t for t in model.graph.initializer if t.name.startswith("weight"))
    array = numpy_helper.to_array(tensor).copy()
    array.flat[3] = -1e30
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    with pytest.raises(ModelError, match=r"holds values of 1.0e\+30; training diverged"):
        load_model(saved(model, tmp_path / "m.onnx"))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_bad_bias_of_one_channel(tmp_path: Path, value: float) -> None:
    model = fsrcnn()
    tensor = model.graph.initializer[-1]
    assert list(tensor.dims) == [1]
    tensor.CopyFrom(numpy_helper.from_array(np.array([value], np.float32), tensor.name))
    with pytest.raises(ModelError, match="holds 1 NaN or infinite value"):
        load_model(saved(model, tmp_path / "m.onnx"))


def test_an_open_bound_of_a_clip_is_no_bad_weight(tmp_path: Path) -> None:
    b = Builder()
    x = b.node("Clip", b.conv("input", 3, 8, identity=3), b.const(0.0), b.const(np.inf))
    x = b.conv(x, 8, 12, identity=3, repeat=4)
    b.depth_to_space(x, 2, out="output")
    sr = normalize(load_model(saved(b.model(3, 2), tmp_path / "m.onnx")))
    assert [n.op_type for n in sr.model.graph.node] == ["Conv", "Relu", "Conv", "DepthToSpace"]


def test_a_weight_with_the_wrong_number_of_bytes(tmp_path: Path) -> None:
    model = espcn()
    model.graph.initializer[0].raw_data = model.graph.initializer[0].raw_data[:-4]
    with pytest.raises(ModelError, match=r"bytes, not|not a valid ONNX"):
        load_model(saved(model, tmp_path / "m.onnx"))


@pytest.mark.parametrize("version", [1, 6, 99])
def test_unsupported_opset(tmp_path: Path, version: int) -> None:
    model = espcn()
    model.opset_import[0].version = version
    with pytest.raises(ModelError, match=f"opset {version}|not a valid ONNX"):
        load_model(saved(model, tmp_path / "m.onnx"))


def test_is_quantized() -> None:
    assert not is_quantized(xlsr())
    b = Builder()
    x = b.node("QuantizeLinear", "input", b.const(1 / 255), b.const(0, np.uint8))
    b.node("DequantizeLinear", x, b.const(1 / 255), b.const(0, np.uint8), out="output")
    model = b.model(3, 1)
    assert is_quantized(model)
    with pytest.raises(ModelError, match="quantized already"):
        normalize(model)
