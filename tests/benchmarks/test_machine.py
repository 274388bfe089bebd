"""The table of a machine, from what comparisons have left."""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path
from typing import Any

import machine
import untuned


def figures(name: str, threads: int, fastest: float, ratio: float) -> dict[str, Any]:
    return {"name": name, "threads": threads, "fastest": fastest, "ratio": ratio}


def standing(
    name: str, status: str = "timed", reason: str = "", effort: dict[str, Any] | None = None
) -> dict[str, Any]:
    return {"name": name, "status": status, "reason": reason, "effort": effort}


COMPARED = {
    "size": [360, 640],
    "cpu": "Some CPU with AVX2",
    "reference": "own",
    "figures": [
        figures("own", 1, 10.04, 1.0),
        figures("rival", 1, 25.0, 2.5),
        figures("own", 2, 5.0, 1.0),
        figures("rival", 2, 60.0, 12.0),
    ],
    "standings": [
        standing("own", effort={"made": 11.4, "loaded": 0.5, "grown": 120.0}),
        standing("rival", effort={"made": None, "loaded": 0.25, "grown": None}),
        standing("absent", "not installed"),
    ],
}


def test_a_table_holds_times_ratios_efforts_and_who_is_missing(tmp_path: Path) -> None:
    path = machine.place(tmp_path, "x86-avx2", "zoo:abpn_x3")
    path.parent.mkdir()
    path.write_text(json.dumps(COMPARED), encoding="utf-8")
    text = machine.document(machine.read(tmp_path, ["host", "x86-avx2"], ["zoo:abpn_x3", "zoo:xlsr_x3"]))
    assert "## Some CPU with AVX2, target x86-avx2" in text
    assert "target host" not in text
    assert "|  | abpn_x3, 360x640, 1 / 2 threads |" in text
    assert "| own | 10.0 / 5.0 |" in text
    assert "| rival | 25.0 (2.50x) / 60.0 (12.0x) |" in text
    assert "| own | 11 + 0.5 s, 120 MB |" in text
    assert "| rival | 0.2 s |" in text
    assert "Not timed: absent: not installed." in text


def test_what_was_compared_is_not_compared_again(tmp_path: Path) -> None:
    path = machine.place(tmp_path, "host", "srvgg:8x1x2")
    assert path.name == "srvgg_8x1x2.json"
    path.parent.mkdir()
    path.write_text(json.dumps(COMPARED), encoding="utf-8")
    assert machine.run(argparse.Namespace(output=tmp_path, only=None), "host", "srvgg:8x1x2")


def test_contestants_are_added_and_those_that_were_timed_stay_as_they_are() -> None:
    new = {
        **COMPARED,
        "figures": [figures("own", 1, 99.0, 1.0), figures("absent", 1, 30.0, 0.3)],
        "standings": [standing("own"), standing("absent")],
    }
    whole = machine.added(COMPARED, new)
    assert whole["figures"] == [*COMPARED["figures"], figures("absent", 1, 30.0, 0.3)]
    assert [(one["name"], one["status"]) for one in whole["standings"]] == [
        ("own", "timed"),
        ("rival", "timed"),
        ("absent", "timed"),
    ]


def test_random_networks_are_the_same_every_time_and_begin_and_end_as_pictures() -> None:
    for seed in range(5):
        found = untuned.layers(seed)
        assert found == untuned.layers(seed)
        assert (found[0][0], found[-1][1]) == (3, 12)
        assert all(before == behind for (_, before, _), (behind, _, _) in itertools.pairwise(found))
