"""What a user asks of tuning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from toolchain.board.place import Place
from toolchain.tune.session import Budget


@dataclass(frozen=True)
class TuningRequest:
    """What to tune.

    Attributes:
        models: ONNX files.
        target: name, or "host" for the best one; the machine that is tuned on must be able to run it.
        sizes: height and width of the pictures.
        threads: numbers of threads; empty for one for each core.
        budget: where to stop.
        resume: count what was tried before, and do not try it again.
        logs: folder of the logs.
        calibration: a folder of photographs, or picture files; None for noise, which does as well.
        seed: of what is left to chance.
        place: of the boards to tune on; None for this machine.
        wait: seconds to wait for a board that is busy or was lost.
    """

    models: tuple[Path, ...]
    target: str
    sizes: tuple[tuple[int, int], ...]
    threads: tuple[int, ...]
    budget: Budget
    resume: bool
    logs: Path
    calibration: Path | Sequence[Path] | None = None
    seed: int = 0
    place: Place | None = None
    wait: float = 60.0
