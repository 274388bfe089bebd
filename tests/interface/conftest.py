"""Bundles whose libraries are used through their C interface."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interface.library import Network, opened
from tests.sr_models import attention, espcn
from tests.test_attention import deployed
from toolchain.bundle import Bundle, open_bundle


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory, photo_folder: Path) -> Bundle:
    """A network that streams and takes RGB."""
    return open_bundle(deployed(espcn(channels=3), photo_folder, tmp_path_factory.mktemp("espcn")))


@pytest.fixture(scope="session")
def layers(tmp_path_factory: pytest.TempPathFactory, photo_folder: Path) -> Bundle:
    """A network that runs layer by layer."""
    return open_bundle(deployed(attention(), photo_folder, tmp_path_factory.mktemp("attention")))


@pytest.fixture
def network(bundle: Bundle) -> Iterator[Network]:
    with opened(bundle.path / "model.so", threads=2) as found:
        yield found
