"""The process in which trials happen: it may be crashed, hung, or filled with what a damaged file claims to be.

``python -m tests.campaigns.worker MODULE`` answers requests, see `toolchain.support.worker`; MODULE has
``CAMPAIGNS``.
"""

from __future__ import annotations

import dataclasses
import faulthandler
import importlib
import resource
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.campaigns.campaign import Campaign, Outcome, judged
from toolchain.support.worker import answer

MEMORY = 12 * 2**30
"""Bytes of address space: TVM's threads and pocl's reserve gigabytes that they never touch."""

CRASH = "crash.txt"
"""Where the stacks of a process lie that crashed, in the trial's folder."""


def main(module: str) -> None:
    """Answer until stdin ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    campaigns: Mapping[str, Campaign] = importlib.import_module(module).CAMPAIGNS

    def trial(request: dict[str, Any]) -> dict[str, Any]:
        campaign, folder = campaigns[request["campaign"]], Path(request["folder"])
        with (folder / CRASH).open("w") as stacks:
            faulthandler.enable(stacks)
            outcome: Outcome = judged(lambda: campaign.trial(request["seed"], folder))
            faulthandler.disable()
        (folder / CRASH).unlink()
        return dataclasses.asdict(outcome)

    answer({"trial": trial})


if __name__ == "__main__":
    main(sys.argv[1])
