"""Models, targets and precisions beside one another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toolchain.workflows.compare import Comparison


def compare(
    models: str | Path | Sequence[str | Path],
    photographs: str | Path | None = None,
    *,
    targets: str | Sequence[str] = "host",
    precisions: Sequence[str] = ("int8", "mix", "float"),
    hr: str | Path | None = None,
    lr: str | Path | None = None,
    degradation: str | None = None,
    size: tuple[int, int] = (360, 640),
    threads: Sequence[int] = (),
    repeats: int = 30,
    seconds: float = 5.0,
    boards: Sequence[str] = (),
    beside: Sequence[str] = (),
    value_range: str | None = None,
    out: str | Path = "compared",
    progress: Callable[[str, float], None] | None = None,
) -> Comparison:
    """Deploy models for targets in several precisions, and measure size, latency and quality: `clipfree compare`.

    A row that fails keeps its sentence, and the others are made. A run that was ended goes on in ``out``.

    Args:
        models: files, or "zoo:NAME".
        photographs: a folder to calibrate with; None for embedded networks.
        targets: of ``clipfree targets list``.
        precisions: "int8" (8 bits everywhere), "mix" (16 where `deploy` spends them), "float", "float32", "float16".
        hr: a folder of high-resolution pictures; None: no PSNR.
        lr: their low-resolution ones; None: they are made.
        degradation: how, as of `Network.evaluate`.
        size: height and width of the picture that is timed.
        threads: numbers of them; empty: 1 and all.
        repeats: most calls timed.
        seconds: time after which no further one is begun.
        boards: that are timed, "HOST:PORT" or "TARGET=HOST:PORT".
        beside: "onnxruntime", to time it in turn.
        value_range: of the models, as `deploy` takes it.
        out: a folder for the bundles, a page, and tables as CSV, Markdown and JSON.
        progress: called with what happens, as text, and the share of all that is done, 0 to 1.

    Returns:
        the rows, frozen; ``str`` is a table in Markdown, and notebooks show it as one.

    Raises:
        ClipfreeError: something that is named cannot be used at all.
    """
    from toolchain.runtime.measure import TimingPlan
    from toolchain.support.progress import untold
    from toolchain.workflows.compare import Model, Request, read_boards
    from toolchain.workflows.compare import compare as run
    from toolchain.workflows.compare.files import write_files
    from toolchain.workflows.compare.page import write_page
    from toolchain.zoo.demo_photos import photographs_of
    from toolchain.zoo.embedded import resolve

    several = [models] if isinstance(models, (str, Path)) else list(models)
    folder = None if photographs is None else Path(photographs)
    request = Request(
        tuple(Model(resolve(str(model)), photographs_of(str(model), folder)) for model in several),
        Path(out),
        (targets,) if isinstance(targets, str) else tuple(targets),
        tuple(precisions),
        None if hr is None else Path(hr),
        None if lr is None else Path(lr),
        degradation,
        size,
        tuple(sorted(set(threads))),
        TimingPlan(repeats=repeats, seconds=seconds),
        read_boards(boards, None, ()),
        beside=tuple(beside),
        value_range=value_range,
    )
    found = run(request, progress=progress or untold)
    write_page(found, request.out)
    write_files(found, request.out)
    return found
