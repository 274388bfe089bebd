from __future__ import annotations

import pytest

from tests.sr_models import Builder, abpn, espcn, fsrcnn, sesr, xlsr
from toolchain.errors import ModelError
from toolchain.frontend import normalize


@pytest.mark.parametrize("seed", range(4))
def test_without_a_clip_behaviour_decides(seed: int) -> None:
    for net in (xlsr, espcn, fsrcnn, sesr):
        assert normalize(net(clipped=False, seed=seed)).value_range == (0.0, 1.0)
    assert normalize(abpn(clipped=False, seed=seed)).value_range == (0.0, 255.0)


def arbitrary() -> object:
    b = Builder(1)
    return b.depth_to_space(b.conv("input", 3, 12, noise=2.0, bias=1.0), 2, out="output") and b.model(3, 2)


def test_a_network_that_does_not_upscale_must_be_told() -> None:
    with pytest.raises(ModelError, match=r"cannot tell whether .* 0\.\.1 or 0\.\.255") as caught:
        normalize(arbitrary())
    assert "--range" in caught.value.hint


@pytest.mark.parametrize(("given", "want"), [("0..1", (0.0, 1.0)), ("0..255", (0.0, 255.0))])
def test_being_told(given: str, want: tuple[float, float]) -> None:
    assert normalize(arbitrary(), value_range=given).value_range == want
