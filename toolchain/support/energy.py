"""What a machine's processors use, where Linux tells (RAPL through powercap, which mostly root alone may read)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_POWERCAP = Path("/sys/class/powercap")


@dataclass(frozen=True)
class Energy:
    """Counters of processor packages, at one moment.

    Attributes:
        used: microjoules of each package, by its folder's name.
        ends: where each counter begins anew.
    """

    used: Mapping[str, int]
    ends: Mapping[str, int]

    def since(self, before: Energy) -> float:
        """Return joules from ``before`` to here, of all packages; a counter that began anew is seen through once."""
        steps = ((self.used[name] - before.used[name]) % (self.ends[name] + 1) for name in self.used)
        return sum(steps) / 1e6


def energy_now(powercap: Path = _POWERCAP) -> Energy | None:
    """Read the counters; None where the machine has none, or they may not be read."""
    used, ends = {}, {}
    try:
        for folder in sorted(powercap.glob("intel-rapl:*")):
            if (folder / "name").read_text().startswith("package"):
                used[folder.name] = int((folder / "energy_uj").read_text())
                ends[folder.name] = int((folder / "max_energy_range_uj").read_text())
    except (OSError, ValueError):
        return None
    return Energy(used, ends) if used else None
