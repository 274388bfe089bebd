"""The run: libraries are made one after the other and timed here in between; boards are timed beside it, each by a
thread of its own.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import toolchain
from toolchain.board.place import Place
from toolchain.bundle import QDQ, SUFFIX, Bundle, open_bundle
from toolchain.bundle.library import LIBRARY
from toolchain.quantize import Settings
from toolchain.support.cpu import this_cpu
from toolchain.support.errors import ClipfreeError
from toolchain.support.files import check_writable
from toolchain.support.progress import Tell, part_of, untold
from toolchain.support.signals import check_interrupted
from toolchain.targets.precision import INT8
from toolchain.workflows.compare.latency import here, on_board
from toolchain.workflows.compare.quality import Judge
from toolchain.workflows.compare.request import Case, Request, cases_of, check_calibration, check_precisions, is_float
from toolchain.workflows.compare.result import MIX, Comparison, Failure, Quality, Row
from toolchain.workflows.compare.store import Keys, RowStore
from toolchain.workflows.deploy import Deployment, Event, deploy
from toolchain.workflows.deploy import Request as DeployRequest

BUNDLES, ROWS = "bundles", "rows"
_PATIENCE = 0.2  # seconds between looks at Ctrl-C while boards are waited for
_PLAIN = re.compile(r"[^\w.+-]+")

Done = Callable[[Row, int, int], None]


def compare(request: Request, *, progress: Tell = untold, done: Done | None = None) -> Comparison:
    """Deploy every model for every target in every precision, measure size, latency and quality, and keep each row.

    A row that fails keeps its sentence, and the others go on; such a row is tried again by the next run. Rows that an
    earlier run into the same folder has made of the same things are taken from there.

    Args:
        request: what to compare.
        progress: is told what happens.
        done: called with each row when it is there, how many are, and how many there will be.

    Raises:
        InputError, TargetError, BoardError: what is asked for cannot be, see `cases_of` and `Judge`.
        OutputError: the folder cannot be written.
    """
    check_precisions(request.precisions)
    check_calibration(request.models)
    cases = cases_of(request)
    check_writable(request.out, folder=True)
    run = _Run(request, cases, Judge(request), RowStore(request.out / ROWS), done or (lambda row, index, count: None))
    run.take_kept()
    kept = len(run.rows)
    with _lanes() as lanes:
        for index, case in enumerate(cases):
            if index not in run.rows:
                run.work(index, case, part_of(progress, index, len(cases)), lanes)
        run.collect(progress)
    rows = tuple(run.rows[index] for index in range(len(cases)))
    today = datetime.datetime.now(tz=datetime.timezone.utc).date().isoformat()
    version = toolchain.__version__
    return Comparison(rows, *request.size, this_cpu().name, run.judge.pictures, version, today, kept)


Lane = Callable[[Place], ThreadPoolExecutor]


@contextmanager
def _lanes() -> Iterator[Lane]:
    """Yield what gives each board a thread; after an error nobody waits for them."""
    pools: dict[Place, ThreadPoolExecutor] = {}

    def lane(place: Place) -> ThreadPoolExecutor:
        if place not in pools:
            pools[place] = ThreadPoolExecutor(1)
        return pools[place]

    try:
        yield lane
    except BaseException:
        for pool in pools.values():
            pool.shutdown(wait=False, cancel_futures=True)
        raise
    for pool in pools.values():
        pool.shutdown()


@dataclass(eq=False)
class _Run:
    """A run, and what has come of it so far: rows by their places."""

    request: Request
    cases: tuple[Case, ...]
    judge: Judge
    store: RowStore
    done: Done
    rows: dict[int, Row] = field(default_factory=dict)
    waiting: dict[Future[Row], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        keys = Keys(self.request)
        self.keys = [keys.of(case) for case in self.cases]

    def take_kept(self) -> None:
        """Take the rows that an earlier run has written."""
        for index, key in enumerate(self.keys):
            row = self.store.read(key)
            if row is not None and row.failure is None:
                self.judge.learn(row)
                self.rows[index] = row

    def work(self, index: int, case: Case, tell: Tell, lanes: Lane) -> None:
        """Make a row, but for what a board is to measure of it."""
        place = str(case.place) if case.place else ""
        row = Row(self.keys[index], case.name, case.target.name, case.precision, place)
        same = self._spared(row)
        if same is not None:
            return self._finish(index, same)
        try:
            deployed = self._deploy(case, row, tell)
            bundle = open_bundle(deployed.path, for_this_machine=False)
            row = self._described(row, deployed, bundle)
            same = self._same(row)
            if same is not None:
                return self._finish(index, same)
            row = replace(row, quality=self._judged(case, row, bundle, tell))
            if case.place is None:
                tell(f"{row.title}: timing", 0.9)
                row = replace(row, latency=here(bundle, deployed.report, self.request))
        except ClipfreeError as error:
            return self._finish(index, _failed(row, error))
        if case.place is None:
            return self._finish(index, row)
        self.waiting[lanes(case.place).submit(_on_board, case.place, bundle, row, self.request)] = index
        return self.collect(untold, patience=0.0)

    def collect(self, tell: Tell, *, patience: float | None = None) -> None:
        """Take the rows whose boards have answered; wait for all of them, or as long as ``patience`` says."""
        while self.waiting:
            ready, _ = wait(self.waiting, _PATIENCE if patience is None else patience)
            for future in ready:
                self._finish(self.waiting.pop(future), future.result())
            if patience is not None:
                return
            tell(f"waiting for {len(self.waiting)} rows of boards", 1 - len(self.waiting) / len(self.cases))
            check_interrupted()

    def _deploy(self, case: Case, row: Row, tell: Tell) -> Deployment:
        name = _PLAIN.sub("_", f"{case.name}-{case.target.name}-{case.precision}").lstrip(".")
        place = f"-{_PLAIN.sub('_', str(case.place))}" if case.place else ""
        request = DeployRequest(
            case.model.path,
            self.request.out / BUNDLES / f"{name}{place}{SUFFIX}",
            case.model.calibration,
            case.asked,
            case.name,
            self.request.value_range,
            Settings(budget=0) if case.precision == INT8 else None,
            size=self.request.size,
            precision=case.precision if is_float(case.precision) else INT8,
            keep=True,
            page=True,
        )

        def show(event: Event) -> None:
            tell(f"{row.title}: {event.step}", 0.8 * event.share)

        return deploy(request, progress=show)

    def _judged(self, case: Case, row: Row, bundle: Bundle, tell: Tell) -> Quality | None:
        def show(text: str, share: float) -> None:
            tell(f"{row.title}: {text}", 0.8 + 0.1 * share)

        return self.judge.judge(case.model.path, bundle, row.network, show)

    def _described(self, row: Row, deployed: Deployment, bundle: Bundle) -> Row:
        manifest, files = bundle.manifest, bundle.manifest.files
        height, width = self.request.size
        loaded = LIBRARY if LIBRARY in files else manifest.library
        return replace(
            row,
            bundle=deployed.path.relative_to(self.request.out).as_posix(),
            network=files[QDQ].sha256 if QDQ in files else "",
            library_bytes=files[loaded].size,
            gmac=manifest.macs_per_pixel * height * width / 1e9,
            arithmetic=manifest.arithmetic,
            spent="; ".join(str(one) for one in (deployed.budget, deployed.bound) if one),
            fidelity=manifest.loss,
        )

    def _spared(self, row: Row) -> Row | None:
        """Return the row of a mix without any work: for another target nothing was spent on the same model."""
        unspent = any(one.model == row.model and one.precision == MIX and one.same_as for one in self.rows.values())
        plain = self._plain(row)
        if row.precision != MIX or not unspent or plain is None:
            return None
        return replace(plain, key=row.key, precision=MIX, same_as=INT8)

    def _same(self, row: Row) -> Row | None:
        """Return the row of a mix for which nothing was spent: with what was measured in 8 bits."""
        plain = self._plain(row)
        if row.precision != MIX or plain is None or plain.network != row.network:
            return None
        return replace(row, latency=plain.latency, quality=plain.quality, same_as=INT8)

    def _plain(self, row: Row) -> Row | None:
        """Return the row of the same model, target and place in 8 bits, if it is whole."""
        for one in self.rows.values():
            alike = (one.model, one.target, one.place) == (row.model, row.target, row.place)
            if alike and one.precision == INT8 and one.failure is None:
                return one
        return None

    def _finish(self, index: int, row: Row) -> None:
        if row.failure is None:
            self.store.write(row)
        self.rows[index] = row
        self.done(row, len(self.rows), len(self.cases))


def _on_board(place: Place, bundle: Bundle, row: Row, request: Request) -> Row:
    try:
        return replace(row, latency=on_board(place, bundle, request))
    except ClipfreeError as error:
        return _failed(row, error)


def _failed(row: Row, error: ClipfreeError) -> Row:
    return replace(row, failure=Failure(error.message, error.hint, error.exit_code))
