"""Draw the pictures of results again, from their JSON: nothing is measured.

    python benchmarks/redraw.py benchmarks/results

Every file of `compare.py`, `scaling.py` and `quantizing.py` gets the SVG picture that lies beside it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import chart
import lines
import quantizing
import scaling
from result import Result
from toolchain.support.serialization import from_plain


def redraw(path: Path, picture: Path) -> bool:
    """Draw ``picture`` (.svg or .png) from the JSON of a result; False where no picture is made of such results.

    Raises:
        OSError: a file cannot be read or written.
    """
    data = json.loads(path.read_text(encoding="utf-8"))
    drawer = _drawer(data) if isinstance(data, dict) else None
    if drawer is None:
        return False
    drawer(picture)
    return True


def _drawer(data: dict[str, Any]) -> Callable[[Path], None] | None:
    if "standings" in data:
        result = Result.from_json(data)
        return lambda picture: chart.draw(picture, result)
    if "compile_seconds" in data:
        grown = from_plain(scaling.Scaling, data)
        return lambda picture: lines.draw(picture, scaling.panels(grown), scaling.title(grown))
    if "photographs" in data and "layers" in data:
        found = from_plain(quantizing.Quantizing, data)
        return lambda picture: lines.draw(picture, quantizing.panels(found), quantizing.title(found))
    return None


def main() -> int:
    """Draw what lies in the folders that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="+", help="with JSON files, in folders within too")
    options = parser.parse_args()
    for folder in options.folder:
        for path in sorted(folder.rglob("*.json")):
            if redraw(path, path.with_suffix(".svg")):
                print(path.with_suffix(".svg"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
