"""Files of PyTorch, read by PyTorch: exported programs, and weights of networks that spandrel knows."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from toolchain.frontend import load_model, normalize
from toolchain.frontend.probe import run
from toolchain.support.errors import ModelError

torch = pytest.importorskip("torch", reason="reading PyTorch's files needs the extra `torch`")
pytest.importorskip("onnxscript", reason="reading PyTorch's files needs the extra `torch`")

pytestmark = pytest.mark.train


class Enlarge(torch.nn.Module):
    def __init__(self, scale: int = 2) -> None:
        super().__init__()
        self.first = torch.nn.Conv2d(3, 8, 3, padding=1)
        self.act = torch.nn.PReLU(8)
        self.last = torch.nn.Conv2d(8, 3 * scale * scale, 3, padding=1)
        self.scale = scale

    def forward(self, x: Any) -> Any:
        y = torch.nn.functional.pixel_shuffle(self.last(self.act(self.first(x))), self.scale)
        return (y + torch.nn.functional.interpolate(x, scale_factor=self.scale, mode="nearest")).clamp(0, 1)


def saved(path: Path, network: Any, sides: Any = None) -> Path:
    program = torch.export.export(network.eval(), (torch.rand(1, 3, 24, 32),), dynamic_shapes=sides)
    torch.export.save(program, path)
    return path


FREE = ({2: torch.export.Dim("height"), 3: torch.export.Dim("width")},)


@pytest.mark.parametrize("sides", [FREE, None], ids=["any size", "one size"])
def test_an_exported_program_is_the_network(sides: Any, tmp_path: Path):
    torch.manual_seed(0)
    network = Enlarge()
    model = normalize(load_model(saved(tmp_path / "x2.pt2", network, sides)))
    assert (model.channels, model.scale, model.name) == (3, 2, "x2")
    picture = torch.rand(1, 3, 19, 13)
    with torch.no_grad():
        want = network(picture).numpy()
    np.testing.assert_allclose(np.clip(run(model.model, picture.numpy()), 0, 1), want, atol=1e-5)


def test_a_program_of_another_kind_of_network_is_refused(tmp_path: Path):
    class Sort(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return torch.fft.ifft2(torch.fft.fft2(x)).real

    with pytest.raises(ModelError) as caught:
        normalize(load_model(saved(tmp_path / "fft.pt2", Sort())))
    assert caught.value.hint


def test_a_damaged_program_is_refused(tmp_path: Path):
    path = saved(tmp_path / "x2.pt2", Enlarge())
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"schema_version"', b'"schema_versiom"'))
    with pytest.raises(ModelError, match=r"damaged|another version"):
        load_model(path)


class Evil:
    def __reduce__(self) -> Any:
        return os.system, ("touch /tmp/never",)


@pytest.fixture
def spandrel() -> Any:
    try:
        return importlib.import_module("spandrel")
    except Exception as error:  # torchvision raises what it likes where it is not of PyTorch's release
        pytest.skip(f"weights need the extra `spandrel`: {error}")


@pytest.mark.parametrize("kind", ["pth", "legacy", "nested", "half", "safetensors"])
def test_weights_of_a_known_network(kind: str, spandrel: Any, tmp_path: Path):
    torch.manual_seed(0)
    compact = importlib.import_module("spandrel.architectures.Compact").Compact(num_feat=8, num_conv=2, upscale=2)
    weights = compact.state_dict()
    path = tmp_path / "x2.pth"
    if kind == "safetensors":
        importlib.import_module("safetensors.torch").save_file(weights, path)
    elif kind == "half":
        torch.save({name: value.half() for name, value in weights.items()}, path)
    else:
        content = {"params_ema": weights, "iter": 7} if kind == "nested" else weights
        torch.save(content, path, _use_new_zipfile_serialization=kind != "legacy")
    model = normalize(load_model(path))
    assert (model.channels, model.scale, model.value_range) == (3, 2, (0.0, 1.0))
    picture = torch.rand(1, 3, 19, 13)
    with torch.no_grad():
        want = compact.eval()(picture).clamp(0, 1).numpy()
    got = np.clip(run(model.model, picture.numpy()), 0, 1)
    np.testing.assert_allclose(got, want, atol=1e-2 if kind == "half" else 1e-5)


def test_weights_of_unknown_networks_name_the_page(spandrel: Any, tmp_path: Path):
    torch.save(Enlarge().state_dict(), tmp_path / "x2.pth")
    with pytest.raises(ModelError, match="a network that spandrel does not know") as caught:
        load_model(tmp_path / "x2.pth")
    assert "docs/pytorch.md" in caught.value.hint


def test_pickled_objects_are_not_made(spandrel: Any, tmp_path: Path):
    torch.save({"w": torch.rand(3), "more": Evil()}, tmp_path / "x2.pth")
    with pytest.raises(ModelError, match="Python objects beside its weights, which are not loaded"):
        load_model(tmp_path / "x2.pth")


@pytest.mark.parametrize("content", [{}, [1, 2], {"a": 3}])
def test_files_without_weights(content: Any, spandrel: Any, tmp_path: Path):
    torch.save(content, tmp_path / "x2.pth")
    with pytest.raises(ModelError, match=r"holds no weights|does not know"):
        load_model(tmp_path / "x2.pth")
