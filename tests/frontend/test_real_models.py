"""Models made by other people, where they are at hand."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.frontend.spellings import agree, operators
from tests.frontend.test_normalize import check_canonical
from toolchain.frontend import SRModel, load_model, normalize

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "models"


def loaded(name: str) -> tuple[object, SRModel]:
    path = FOLDER / f"{name}.onnx"
    if not path.is_file():
        pytest.skip(f"{path.name} is not beside the repository")
    model = load_model(path)
    return model, normalize(model)


@pytest.mark.parametrize(
    ("name", "channels", "scale", "halo", "clip", "want"),
    [
        ("xlsr_x3_clipped", 3, 3, 5, "Clip", {"Conv": 11, "Relu": 5, "Concat": 1, "DepthToSpace": 1}),
        ("sesr_collapse_m5_x4", 3, 4, 9, None, {"Conv": 8, "Relu": 6, "Add": 2, "DepthToSpace": 1}),
        ("fsrcnn_x3", 1, 3, 6, None, {"Conv": 8, "PRelu": 7, "DepthToSpace": 1}),
        ("subpixel_cnn_x3", 1, 3, 5, None, {"Conv": 4, "Relu": 3, "DepthToSpace": 1}),
    ],
)
def test_real_models(name: str, channels: int, scale: int, halo: int, clip: str | None, want: dict[str, int]) -> None:
    model, sr = loaded(name)
    check_canonical(sr)
    assert (sr.channels, sr.scale, sr.halo, sr.value_range) == (channels, scale, halo, (0.0, 1.0))
    assert (sr.clip.spelling if sr.clip else None) == clip
    assert dict(Counter(operators(sr))) == want
    agree(model, sr)
