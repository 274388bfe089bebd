"""What is found out about models and machines: where quality is lost, what represents photographs, what is fast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clipfree.arguments import Bits, Budget, Photographs, Progress, by_count, paths_of, photographs_for, settings_of
from clipfree.notebook import Rows

if TYPE_CHECKING:
    from toolchain.tune.search import Search
    from toolchain.tune.session import Point
    from toolchain.workflows.fidelity import Fidelity
    from toolchain.workflows.report.proof import Proof


def fidelity(
    model: str | Path,
    photographs: Photographs | None = None,
    *,
    hr: str | Path | None = None,
    value_range: str | None = None,
    bits: Bits | None = None,
    budget: Budget | None = None,
    max_loss: float | None = None,
    estimator: str | None = None,
    weights: str | None = None,
    weight_bits: int | Mapping[str, int] | None = None,
    codebook: bool = False,
    outliers: bool = True,
    crops: int = 6,
    inputs: Mapping[str, float] | None = None,
    progress: Progress | None = None,
) -> Fidelity:
    """Quantize a float model and find which tensors cost quality, and what would help; nothing is compiled.

    Args:
        model: a float model's file, or "zoo:NAME".
        photographs: a folder, or picture files. None, for an embedded network: those of scikit-image.
        hr: a folder of high-resolution pictures to measure on; None: the photographs.
        value_range: what the model's numbers mean, as for `deploy`.
        bits: as for `deploy`, as are ``budget``, ``max_loss``, ``estimator``, ``weights`` and ``inputs``.
        budget: see there, but percent only.
        max_loss: see there.
        estimator: see there.
        weights: see there.
        weight_bits: see there, but "auto".
        codebook: see there.
        outliers: see there.
        crops: pictures compared at most.
        inputs: see there.
        progress: called with what happens, as text, and the share of all that is done.

    Returns:
        ``tensors`` with their SQNR, ``blame`` for every part, ``fixes`` that were tried, ``drop`` in dB, and more.

    Raises:
        ModelError, CalibrationError, InputError: the model or the pictures cannot be used.
    """
    from toolchain.quantize import Settings
    from toolchain.workflows.fidelity import FidelityRequest, measure_fidelity
    from toolchain.zoo.embedded import resolve

    calibrated = isinstance(photographs, (str, Path))
    request = FidelityRequest(
        resolve(str(model)),
        photographs_for(model, photographs),
        None if hr is None else Path(hr),
        value_range,
        settings_of(bits, budget, max_loss, estimator, weights, weight_bits, codebook=codebook, outliers=outliers)
        or Settings(),
        crops,
        inputs=inputs or {},
        command="clipfree.fidelity",
        words=(str(model), *(("--calib", str(photographs)) if calibrated else ())),
    )
    return measure_fidelity(request, progress=by_count(progress))


def represent(
    model: str | Path,
    photographs: Photographs | None = None,
    *,
    out: str | Path = "out/representative",
    value_range: str | None = None,
    overshoot: str = "contract",
    frames: Sequence[str] = ("flat", "edge"),
    patch: int | None = None,
    crop: int = 512,
    most: int = 128,
    formats: Sequence[str] = ("png", "npz"),
    inputs: Mapping[str, float] | None = None,
    progress: Progress | None = None,
) -> Proof:
    """Make photographs representative by CFQP, for calibrators of other toolchains, and write them with their proof.

    Args:
        model: a float model's file, or "zoo:NAME".
        photographs: a folder, or picture files. None, for an embedded network: those of scikit-image.
        out: the folder to write.
        value_range: what the model's numbers mean, as for `deploy`.
        overshoot: what becomes of images whose outputs leave the range: "contract" or "select".
        frames: added so that both ends are touched: "flat", "edge", both or none.
        patch: treat patches of so many pixels a side, not whole images; None: images.
        crop: larger photographs are cut to their middle; pixels.
        most: of more photographs so many are used, spread evenly.
        formats: "png", "npz" or both.
        inputs: values of the model's inputs beside the picture, by name.
        progress: called with what happens, as text, and the share of all that is done.

    Returns:
        what proof.json holds: ``proved``, ``coverage``, every image with its outputs ``before`` and ``after``.

    Raises:
        ModelError, CalibrationError, InputError, OutputError: the model, photographs or folder cannot be used.
    """
    from toolchain.quantize.representative import Reading
    from toolchain.workflows.represent import RepresentRequest, make_representative_set
    from toolchain.zoo.embedded import resolve

    request = RepresentRequest(
        resolve(str(model)),
        photographs_for(model, photographs),
        Path(out),
        value_range,
        Reading(overshoot, tuple(frames), patch),
        crop,
        most,
        tuple(formats),
        inputs or {},
    )
    return make_representative_set(request, progress=by_count(progress))


@dataclass(frozen=True)
class TunedKernel:
    """What tuning found for a kernel.

    Attributes:
        kernel: of which convolution, at which size.
        trials: tiles tried.
        space: tiles there are.
        tile: the best; None where nothing was measured.
        seconds: that it takes.
        relative: to the default tile's time.
    """

    kernel: str
    trials: int
    space: int
    tile: str | None
    seconds: float | None
    relative: float | None


@dataclass(frozen=True)
class Tuning:
    """What tuning came to.

    Attributes:
        log: the file that what was found was added to; `deploy` takes its ``logs``.
        logs: the folder of logs.
        target: that was tuned for.
        kernels: what was found for each.
        relative: time of all kernels over their time with default tiles.
        reason: why tuning ended.
    """

    log: Path
    logs: Path
    target: str
    kernels: Rows[TunedKernel]
    relative: float
    reason: str

    def _repr_html_(self) -> str:
        return f"{self.kernels._repr_html_()}<p>{self.relative:.0%} of the time with default tiles</p>"


def tune(
    models: str | Path | Sequence[str | Path],
    *,
    target: str = "host",
    sizes: Sequence[tuple[int, int]] = ((360, 640),),
    threads: Sequence[int] = (),
    trials: int | None = None,
    minutes: float | None = None,
    resume: bool = False,
    logs: str | Path = "tuning_logs",
    photographs: Photographs | None = None,
    progress: Progress | None = None,
) -> Tuning:
    """Measure on this machine which tile each kernel of some models wants, and keep that in a log for `deploy`.

    Args:
        models: files, float or QDQ, or "zoo:NAME"; one or several.
        target: that this machine can run.
        sizes: (height, width) of inputs.
        threads: numbers of them; empty: every core.
        trials: stop after so many; None: no bound.
        minutes: stop after so long; None: no bound.
        resume: try nothing that the log holds.
        logs: the folder of logs.
        photographs: a folder, or picture files; None: noise, which does as well.
        progress: called with what was found, as text, and the share of all that is done.

    Raises:
        TuningError: the log cannot be used, or there is nothing to tune.
        TargetError, ModelError, InputError, OutputError: the target, a model, a number or the folder cannot be used.
    """
    from toolchain.tune.request import TuningRequest
    from toolchain.tune.session import Budget, relative
    from toolchain.tune.tune import tune as run
    from toolchain.zoo.embedded import resolve

    several = [models] if isinstance(models, (str, Path)) else models

    def tell(point: Point, search: Search) -> None:
        if progress is not None:
            text = f"{search.task}: all kernels {point.relative:.0%} of the time with default tiles"
            progress(text, point.trials / max(point.trials + point.left, 1))

    request = TuningRequest(
        tuple(resolve(str(model)) for model in several),
        target,
        tuple(sizes),
        tuple(threads),
        Budget(trials, None if minutes is None else 60 * minutes),
        resume,
        Path(logs),
        None if photographs is None else paths_of(photographs),
    )
    done = run(request, tell)
    kernels = Rows(
        TunedKernel(
            str(search.task),
            len(search.tried),
            len(search.space),
            None if search.best is None else str(search.best.tile),
            None if search.best is None else search.best.seconds,
            None if search.best is None else search.best.relative,
        )
        for search in done.searches
    )
    return Tuning(done.log, Path(logs), done.target.name, kernels, relative(done.searches), done.outcome.reason)
