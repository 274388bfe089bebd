"""``python -m tests.campaigns``: every campaign for its share of some minutes, or so many seeds of each."""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path

from tests.campaigns.campaign import Outcome
from tests.campaigns.registry import CAMPAIGNS
from tests.campaigns.run import run, worker


def main() -> int:
    """Run what the command line names; returns 1 if anything failed."""
    about = "\n".join(f"  {campaign.name:10} {campaign.about}" for campaign in CAMPAIGNS.values())
    parser = argparse.ArgumentParser(
        "python -m tests.campaigns",
        description=f"Campaigns:\n{about}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=10, help="of all campaigns together; default: %(default)s")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="the first; default: the time")
    parser.add_argument("--count", type=int, help="so many seeds of each campaign, instead of minutes")
    parser.add_argument("--only", action="append", choices=CAMPAIGNS, help="this campaign; may be given again")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("out/fuzz"),
        help="where inputs stay with which something failed; default: %(default)s",
    )
    parser.add_argument("--verbose", action="store_true", help="tell of every trial")
    given = parser.parse_args()
    chosen = [CAMPAIGNS[name] for name in given.only or CAMPAIGNS]
    whole, failed = sum(campaign.share for campaign in chosen), 0
    watch = _watch if given.verbose else lambda seed, outcome: None
    print(f"from seed {given.seed}", flush=True)
    with worker() as process:
        for campaign in chosen:
            if given.count:
                seeds, until = range(given.seed, given.seed + given.count), None
            else:
                seeds = itertools.count(given.seed)
                until = time.monotonic() + 60 * given.minutes * campaign.share / whole
            tally = run(campaign, seeds, process, given.out, until=until, tell=_tell, watch=watch)
            print(f"{campaign.name}: {tally}", flush=True)
            failed += len(tally.failures)
    return 1 if failed else 0


def _tell(line: str) -> None:
    print(line, flush=True)


def _watch(seed: int, outcome: Outcome) -> None:
    print(f"  {seed} {outcome.verdict}: {outcome.note.partition(chr(10))[0][:200]}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
