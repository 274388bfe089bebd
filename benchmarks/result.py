"""What a comparison found, as plain data: written as JSON, printed as a table, drawn as a chart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from timing import Effort, Figures
from toolchain.support.serialization import from_plain

TIMED, NOT_INSTALLED, UNSUPPORTED, FAILED, IMPLAUSIBLE = (
    "timed",
    "not installed",
    "unsupported",
    "failed",
    "implausible",
)


@dataclass(frozen=True)
class Standing:
    """How a contestant fared before and during the rounds.

    Attributes:
        name: with ", no clip" where the network ran without its final clip.
        package: the distribution it comes with.
        version: installed; None if it is not.
        setting: how it is set up, and what a timed call includes.
        status: "timed", "not installed", "unsupported" (cannot take part here), "failed" (tried to) or "implausible"
            (its picture is too far off).
        reason: why it was not timed; empty if it was.
        integer: computes with 8 bits.
        psnr: dB between its picture and the one it is held against; None if there is none, infinite if equal.
        against: what that picture is.
        note: what it said of itself.
        effort: until its first picture; None if there was none.
    """

    name: str
    package: str
    version: str | None
    setting: str
    status: str
    reason: str = ""
    integer: bool = False
    psnr: float | None = None
    against: str = ""
    note: str = ""
    effort: Effort | None = None

    def sentence(self) -> str:
        """Who, and why not timed."""
        return f"{self.name}: {self.status}" + (f" ({self.reason})" if self.reason else "")


@dataclass(frozen=True)
class ClipCost:
    """What the final clip costs a runtime: time with it / time without, median and quartiles over rounds."""

    name: str
    threads: int
    ratio: float
    ratio_quartiles: tuple[float, float]


@dataclass(frozen=True)
class Result:
    """A whole comparison.

    Attributes:
        model: the file's name.
        size: height and width of the input.
        gmac: multiply-accumulates of one picture, in 10**9.
        cpu, cores: of the machine.
        load: of the machine before and after (1 minute): foreign work shows here.
        rounds: timed ones.
        pause: seconds before each call.
        reference: the contestant that ratios are taken to.
        standings: of everybody, timed or not.
        figures: of those that were timed, at each number of threads.
        clip_costs: of those that ran with and without the clip.
        ceiling: GMAC/s of one core in dot products alone; None where that is not known.
    """

    model: str
    size: tuple[int, int]
    gmac: float
    cpu: str
    cores: int
    load: tuple[float, float]
    rounds: int
    pause: float
    reference: str
    standings: tuple[Standing, ...]
    figures: tuple[Figures, ...]
    clip_costs: tuple[ClipCost, ...]
    ceiling: float | None

    @property
    def not_timed(self) -> list[Standing]:
        """Those without figures, or not with all."""
        return [standing for standing in self.standings if standing.status != TIMED]

    def share(self, figures: Figures) -> float | None:
        """The part of the ceiling of ``threads`` cores that a contestant with 8 bits reaches; None for others."""
        integer = any(standing.integer for standing in self.standings if standing.name == figures.name)
        if self.ceiling is None or not integer:
            return None
        return self.gmac / (figures.fastest / 1e3) / (self.ceiling * figures.threads)

    def floor(self, threads: int) -> float | None:
        """Milliseconds that the network's dot products alone take on ``threads`` cores."""
        return None if self.ceiling is None else self.gmac / (self.ceiling * threads) * 1e3

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Result:
        """Read what `to_json` wrote.

        Raises:
            ValueError: it is something else.
        """
        rows = [{key: value for key, value in row.items() if key != "share_of_ceiling"} for row in data["figures"]]
        standings = []
        for one in data["standings"]:
            kept = {key: value for key, value in one.items() if key != "equal"}
            standings.append(replace(from_plain(Standing, kept), psnr=float("inf") if one["equal"] else kept["psnr"]))
        found = from_plain(cls, {**data, "figures": rows, "standings": []})
        return replace(found, standings=tuple(standings))

    def to_json(self) -> dict[str, Any]:
        """Everything, with the shares of the ceiling; numbers are what JSON can say (equal pictures: psnr null)."""
        data = asdict(self)
        for row, figures in zip(data["figures"], self.figures, strict=True):
            row["share_of_ceiling"] = self.share(figures)
        for standing in data["standings"]:
            standing["equal"] = standing["psnr"] == float("inf")
            standing["psnr"] = None if standing["equal"] else standing["psnr"]
        return data


def table(result: Result) -> str:
    """The figures as lines of text, then who was not timed, then what the clip costs."""
    lines = []
    for figures in result.figures:
        share = result.share(figures)
        lower, upper = figures.ratio_quartiles
        lines.append(
            f"{_threads(figures.threads)}  {figures.name:26s} {figures.fastest:8.1f} ms fastest {figures.median:8.1f} "
            f"median {figures.p90:8.1f} p90  {figures.ratio:6.2f} x ({lower:.2f} to {upper:.2f})"
            + ("" if share is None else f"  {share:4.0%} of the ceiling")
        )
    lines += [standing.sentence() for standing in result.not_timed]
    for cost in result.clip_costs:
        lower, upper = (ratio - 1 for ratio in cost.ratio_quartiles)
        lines.append(
            f"the clip costs {cost.name} {cost.ratio - 1:+.1%} ({lower:+.1%} to {upper:+.1%}) "
            f"on {_threads(cost.threads)}"
        )
    if result.ceiling is not None:
        lines.append(f"ceiling: {result.ceiling:.0f} GMAC/s a core")
    return "\n".join(lines)


def _threads(count: int) -> str:
    return f"{count} thread{'s' * (count > 1)}"
