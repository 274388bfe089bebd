"""A real bundle, under the name that these tests use."""

from __future__ import annotations

import pytest

from toolchain.bundle import Bundle


@pytest.fixture
def bundle(real_bundle: Bundle) -> Bundle:
    return real_bundle
