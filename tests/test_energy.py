"""Energy: counters of packages are added up, begin anew, and may be absent."""

from __future__ import annotations

from pathlib import Path

from toolchain.support.energy import energy_now


def counters(folder: Path, **used: int) -> Path:
    for number, (name, value) in enumerate(used.items()):
        zone = folder / f"intel-rapl:{number}"
        zone.mkdir(exist_ok=True)
        (zone / "name").write_text(name.replace("_", "-") + "\n")
        (zone / "energy_uj").write_text(f"{value}\n")
        (zone / "max_energy_range_uj").write_text("9999999\n")
    return folder


def test_packages_are_added_up(tmp_path: Path):
    before = energy_now(counters(tmp_path, package_0=1_000_000, package_1=9_500_000, psys=5))
    after = energy_now(counters(tmp_path, package_0=3_500_000, package_1=500_000, psys=900))
    assert before is not None
    assert after is not None
    assert after.since(before) == 2.5 + 1.0


def test_a_system_that_does_not_tell(tmp_path: Path):
    assert energy_now(tmp_path / "nothing") is None
    assert energy_now(counters(tmp_path, psys=5)) is None
    (counters(tmp_path, package_0=1) / "intel-rapl:0" / "energy_uj").unlink()
    assert energy_now(tmp_path) is None
