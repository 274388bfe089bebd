"""A few seeds of every campaign find nothing; `make fuzz` tries others, for as long as one likes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.campaigns.registry import CAMPAIGNS
from tests.campaigns.run import run, worker
from toolchain.support.worker import Worker

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")


@pytest.fixture(scope="module")
def process() -> Iterator[Worker]:
    with worker() as started:
        yield started


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_a_sample_finds_nothing(name: str, process: Worker, tmp_path: Path):
    campaign = CAMPAIGNS[name]
    tally = run(campaign, campaign.sample, process, tmp_path)
    assert tally.failures == []
    assert tally.counts["passed"] > 0
