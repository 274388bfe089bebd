"""Files of PyTorch are looked at before PyTorch is: here without it."""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolchain.frontend import load_model
from toolchain.frontend.pytorch import process
from toolchain.frontend.pytorch.archive import UnfitArchiveError, names, vetted
from toolchain.support.errors import ModelError

NODE = {
    "target": "torch.ops.aten.relu.default",
    "inputs": [{"name": "self", "arg": {"as_tensor": {"name": "x"}}, "kind": 1}],
    "outputs": [{"as_tensor": {"name": "relu"}}],
    "metadata": {"stack_trace": "of the author's machine"},
}
TREE = json.dumps([1, {"type": "builtins.tuple", "context": "null", "children_spec": []}])


def program(**changes: Any) -> dict[str, Any]:
    size = {"as_expr": {"expr_str": "Mul(Integer(2), Symbol('s53', positive=True))", "hint": {"as_int": 64}}}
    return {
        "graph_module": {
            "graph": {"nodes": [NODE | changes.get("node", {})], "sizes": [changes.get("size", size)]},
            "module_call_graph": [{"signature": {"in_spec": changes.get("tree", TREE), "out_spec": TREE}}],
        },
        "guards_code": ["print('called')"],
    }


def archive(model: Any = None, weight: dict[str, Any] | None = None, **files: bytes) -> bytes:
    entry = {"path_name": "weight_0", "is_param": True, "use_pickle": False} | (weight or {})
    content = {
        "archive_format": b"pt2",
        "archive_version": b"0",
        "models/model.json": json.dumps(program() if model is None else model).encode(),
        "data/weights/model_weights_config.json": json.dumps({"config": {"w": entry}}).encode(),
        "data/constants/model_constants_config.json": b'{"config": {}}',
        "data/weights/weight_0": b"\x00\x00\x80\x3f",
        "data/sample_inputs/model.pt": b"pickled",
        "extra/evil.py": b"print('called')",
        "data/aotinductor/model/evil.so": b"\x7fELF",
        "data/weights/model.pt": b"pickled too",
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, data in (content | files).items():
            file.writestr(f"x2/{name}", data)
    return buffer.getvalue()


def test_numbers_shapes_and_operators_are_all_that_is_kept():
    copy = vetted(archive())
    assert set(names(copy)) == {
        "archive_format",
        "archive_version",
        "models/model.json",
        "data/weights/model_weights_config.json",
        "data/weights/weight_0",
        "data/constants/model_constants_config.json",
        "data/sample_inputs/model.pt",
    }
    with zipfile.ZipFile(io.BytesIO(copy)) as file:
        assert file.read("program/data/sample_inputs/model.pt") == b""
        model = json.loads(file.read("program/models/model.json"))
    assert model["guards_code"] == []
    assert model["graph_module"]["graph"]["nodes"] == [NODE | {"metadata": {}}]


@pytest.mark.parametrize(
    "target",
    [
        "torch.os.system",
        "torch.hub.load",
        "torch.ops.aten.from_file.default",
        "torch.ops.load_library",
        "torch.ops.aten.relu.default.__globals__.x",
        "_operator.attrgetter",
        "_operator.methodcaller",
        "#example:evil",
        "math.__loader__.load_module",
    ],
)
def test_what_is_no_operator_is_not_called(target: str):
    with pytest.raises(UnfitArchiveError, match="no operator of a network"):
        vetted(archive(program(node={"target": target})))
    with pytest.raises(UnfitArchiveError, match="no operator of a network"):
        vetted(archive(program(node={"inputs": [{"arg": {"as_operator": target}}]})))


@pytest.mark.parametrize("target", ["torch.ops.aten.conv2d.default", "torch.sym_max", "_operator.floordiv"])
def test_operators_are_kept(target: str):
    vetted(archive(program(node={"target": target})))


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('id')",
        "s0.__class__",
        "open('x')",
        "exec",
        "s0 if True else s1",
        "lambda: s0",
        "s0" * 999,
    ],
)
def test_sizes_are_no_programs(text: str):
    with pytest.raises(UnfitArchiveError, match="which is no number"):
        vetted(archive(program(size={"expr_str": text})))


@pytest.mark.parametrize(
    "text", ["s0", "64", "2*s53 + 1", "(s0//2)", "Max(1, Mod(s0, 8))", "True", "Eq(s0, 3)", "int_oo"]
)
def test_sizes_are_read(text: str):
    vetted(archive(program(size={"expr_str": text})))


@pytest.mark.parametrize(
    ("weight", "sentence"),
    [
        ({"use_pickle": True}, "'w', which is a Python object"),
        ({"path_name": "opaque_obj_0"}, "'w', which is a Python object"),
        ({"path_name": "custom_obj_0"}, "'w', which is a Python object"),
        ({"path_name": "../../weight_0"}, "'w', which is a Python object"),
    ],
)
def test_python_objects_are_not_loaded(weight: dict[str, Any], sentence: str):
    with pytest.raises(UnfitArchiveError, match=sentence):
        vetted(archive(weight=weight))


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"PK", "is damaged"),
        (archive(**{"models/model.json": b"{"}), "damaged 'models/model.json'"),
        (archive(**{"models/model.json": b"[" * 200_000}), "damaged 'models/model.json'"),
        (archive(**{"data/weights/model_weights_config.json": b"[]"}), "damaged list of its weights"),
        (archive(model=[]), "has no graph"),
        (archive(model=program(tree=TREE.replace("builtins.tuple", "os.system"))), "takes or gives a os.system"),
        (archive(model=program(tree="(")), "damaged list of its inputs"),
    ],
)
def test_damage_is_named(data: bytes, sentence: str):
    with pytest.raises(UnfitArchiveError, match=sentence):
        vetted(data)


@given(st.binary(min_size=1, max_size=40), st.integers(0, 10**6))
def test_damaged_archives_are_refused_or_read(noise: bytes, place: int):
    data = bytearray(archive())
    start = place % len(data)
    data[start : start + len(noise)] = noise
    names(bytes(data))
    with contextlib.suppress(UnfitArchiveError):
        vetted(bytes(data))


SAFETENSORS = b"\x40\x00\x00\x00\x00\x00\x00\x00" + b'{"w":{"data_offsets":[0,4]}}' + bytes(40)


def checkpoint(*further: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name in ("data.pkl", *further):
            file.writestr(f"archive/{name}", b"")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "what", "extra"),
    [
        (archive(), "is a PyTorch exported program", "torch"),
        (checkpoint(), "is a PyTorch checkpoint", "spandrel"),
        (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19." + bytes(100), "is a PyTorch checkpoint", "spandrel"),
        (SAFETENSORS, "is weights in the safetensors format", "spandrel"),
    ],
)
def test_a_missing_package_is_named(
    data: bytes, what: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(process.importlib.util, "find_spec", lambda name: None)
    path = tmp_path / "x2.pt"
    path.write_bytes(data)
    with pytest.raises(ModelError, match=f"{what}, and torch, which reads it, is not installed") as caught:
        load_model(path)
    assert f"pip install 'clipfree[{extra}]'" in caught.value.hint
    assert "docs/pytorch.md" in caught.value.hint


def test_torchscript_is_named(tmp_path: Path):
    path = tmp_path / "x2.pt"
    path.write_bytes(checkpoint("constants.pkl"))
    with pytest.raises(ModelError, match="is a TorchScript program"):
        load_model(path)


def test_the_page_that_is_named_is_there():
    assert (Path(__file__).parents[3] / "docs" / "pytorch.md").is_file()
