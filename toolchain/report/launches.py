"""What a bundle's report expects of its launches on an OpenCL device, as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def launch_lines(launches: Sequence[Mapping[str, Any]], height: int, width: int) -> list[str]:
    """A line for each launch of a report, and one for all of them; see `toolchain.opencl.launches.Figures`."""
    if not launches:
        return []
    total = {key: sum(launch[key] for launch in launches) for key in ("macs", "read", "written")}
    moved = total["read"] + total["written"]
    lines = [f"{len(launches)} launches; expected at {height}x{width}: {total['read'] / 1e6:.1f} MB read, "
             f"{total['written'] / 1e6:.1f} MB written, {moved / max(total['macs'], 1):.3f} bytes a MAC",
             f"{'kernel':24}{'registers':>10}{'occupancy':>10}{'groups':>7}{'MB read':>9}{'written':>9}  cut"]
    for launch in launches:
        held = "" if launch["registers"] is None else (
            f"{launch['registers']:10}{launch['occupancy']:10.0%}{launch['groups']:7}")
        lines.append(f"{launch['kernel'][:23]:24}{held:27}{launch['read'] / 1e6:9.2f}{launch['written'] / 1e6:9.2f}"
                     f"  {launch['cut']}")
    return lines
