"""Trials one after the other, in a process of their own, within a bound of time or of seeds."""

from __future__ import annotations

import contextlib
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.campaigns.campaign import Campaign, Outcome
from tests.campaigns.worker import CRASH
from toolchain.support.worker import Died, Worker

REGISTRY = "tests.campaigns.registry"
REPORT = "outcome.txt"


@dataclass
class Tally:
    """What became of the trials of a campaign.

    Attributes:
        counts: by verdict.
        failures: a line for each fault: the seed, what it is, the command that shows it again.
    """

    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        parts = [f"{self.counts[word]} {word}" for word in ("passed", "refused", "skipped") if self.counts[word]]
        return ", ".join([f"{self.counts.total()} tried", *parts, f"{self.counts['failed']} failed"])


@contextlib.contextmanager
def worker(registry: str = REGISTRY) -> Iterator[Worker]:
    """A process that tries what is asked, ended after the block."""
    process = Worker([sys.executable, "-m", "tests.campaigns.worker", registry])
    try:
        yield process
    finally:
        process.close()


def run(
    campaign: Campaign,
    seeds: Iterable[int],
    process: Worker,
    out: Path,
    *,
    until: float | None = None,
    tell: Callable[[str], None] = lambda line: None,
    watch: Callable[[int, Outcome], None] = lambda seed, outcome: None,
) -> Tally:
    """Try seeds until they or the time end.

    Args:
        campaign: whose trials.
        seeds: may be without end if there is ``until``.
        process: from `worker`.
        out: inputs with which something failed stay there, in a folder ``NAME-SEED`` each, with what happened.
        until: a moment of `time.monotonic`.
        tell: is told each failure.
        watch: is told the seed and outcome of every trial.
    """
    tally = Tally()
    for seed in seeds:
        if until is not None and time.monotonic() >= until:
            break
        folder = out / f"{campaign.name}-{seed}"
        outcome = _tried(campaign, seed, process, folder)
        tally.counts[outcome.verdict] += 1
        watch(seed, outcome)
        if outcome.verdict == "failed":
            again = f"make fuzz ONLY={campaign.name} SEED={seed} COUNT=1"
            line = f"{campaign.name} seed {seed}: {outcome.note.splitlines()[0][:400]}; again: {again}"
            (folder / REPORT).write_text(f"{line}\n\n{outcome.note}\n\n{outcome.details}\n", encoding="utf-8")
            tally.failures.append(line)
            tell(line)
        else:
            shutil.rmtree(folder)
    return tally


def _tried(campaign: Campaign, seed: int, process: Worker, folder: Path) -> Outcome:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    request = {"operation": "trial", "campaign": campaign.name, "seed": seed, "folder": str(folder.resolve())}
    try:
        given = process.ask(request, campaign.limit)
    except Died as died:
        stacks = folder / CRASH
        return Outcome(
            "failed", f"the process {died.status}: {died.note}", stacks.read_text() if stacks.is_file() else ""
        )
    if given["verdict" if "verdict" in given else "status"] == "failed" and "verdict" not in given:
        return Outcome("failed", f"the trial itself is at fault: {given['note']}")
    return Outcome(given["verdict"], given["note"], given["details"])
