"""Writes the page of a bundle: what people look at, beside the report that programs read."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolchain import bundle as store
from toolchain.support.cpu import this_cpu
from toolchain.support.errors import BundleError
from toolchain.targets.precision import INT8
from toolchain.workflows.deploy.prepare import Prepared
from toolchain.workflows.evaluate import float_upscale
from toolchain.workflows.report.times import TimedKernels

if TYPE_CHECKING:
    from toolchain.backends.base import Backend, Compiled
    from toolchain.bundle import Manifest
    from toolchain.reference.network import NetworkFigures
    from toolchain.runtime.runner import Upscale
    from toolchain.runtime.verify import Verified
    from toolchain.workflows.report.look import Look

_EPOCH = "SOURCE_DATE_EPOCH"
_SIZES = (360, 640), (180, 320), (90, 160), (45, 80)  # height and width of pictures that kernels are timed for
_WORK = 3e9, 2e10  # multiply-accumulates of such a picture at most, of a float network and of one in integers


class PageWriter:
    """Writes the pages of one network's bundles.

    Args:
        prepared: the network.
        command: that asks for them; may be empty.
    """

    def __init__(self, prepared: Prepared, command: str) -> None:
        self._prepared, self._command = prepared, command
        self._looks: dict[str, Look | None] = {}

    def write(
        self,
        folder: Path,
        manifest: Manifest,
        compiled: Compiled,
        network: NetworkFigures,
        verified: tuple[Verified, ...],
        report: dict[str, Any],
        upscale: Upscale | None,
        backend: Backend,
    ) -> None:
        """Write the page into a bundle that is being made.

        Args:
            folder: of the bundle.
            manifest: of the bundle.
            compiled: the network.
            network: its figures.
            verified: the cases on which the library equals the reference.
            report: the content of the bundle's report.
            upscale: runs the library; None where this machine cannot.
            backend: that made it.
        """
        from toolchain.workflows.report.bands import plan_of
        from toolchain.workflows.report.deployment_page import FULL_HD, DeploymentFacts, deployment_page

        library = store.LIBRARY if (folder / store.LIBRARY).exists() else manifest.library
        page = deployment_page(
            DeploymentFacts(
                manifest=manifest,
                report=report,
                model=self._prepared.model.model,
                network=network,
                verified=verified,
                library=(library, (folder / library).stat().st_size),
                look=self._look(manifest, upscale),
                bands=plan_of(compiled.segments, FULL_HD[1]),
                times=None if upscale is None else _times(folder / library, manifest, compiled, backend),
                command=self._command,
                date=_today(),
            )
        )
        (folder / store.PAGE).write_text(page, encoding="utf-8")

    def _look(self, manifest: Manifest, upscale: Upscale | None) -> Look | None:
        """Return what there is to look at; libraries in integers make the same of it, whatever they are for."""
        from toolchain.workflows.report.look import look

        photos, model, precision = self._prepared.photos, self._prepared.model, manifest.precision
        if photos is None:
            return None
        if precision not in self._looks or precision != INT8:
            self._looks[precision] = look(
                model,
                photos,
                upscale or self._prepared.reference(),
                lambda network: float_upscale(network.model, network.value_range),
                manifest.smallest,
                quick=upscale is not None,
            )
        return self._looks[precision]


def _times(library: Path, manifest: Manifest, compiled: Compiled, backend: Backend) -> TimedKernels | None:
    """Time the kernels on a picture that takes a moment; None where a bundle is to be the same in every byte whenever
    it is made, or the library is none that can be timed.
    """
    if _EPOCH in os.environ:
        return None
    most = _WORK[manifest.precision == INT8] / max(manifest.macs_per_pixel, 1.0)
    unit, least = manifest.unit, manifest.smallest
    sizes = [
        (max(height // unit * unit, least[0]), max(width // unit * unit, least[1]))
        for height, width in _SIZES
        if height * width <= most
    ]
    if not sizes:
        return None
    try:
        found = backend.kernel_times(library, compiled, manifest.geometry, sizes[0])
    except BundleError:
        return None  # what runs it otherwise has compared it already
    return None if found is None else TimedKernels(found, tuple(compiled.kernels), this_cpu().name)


def _today() -> str:
    """Return the date, or that of SOURCE_DATE_EPOCH, by which builds are made anew in every byte."""
    said = os.environ.get(_EPOCH, "")
    when = datetime.fromtimestamp(int(said), UTC) if said.isdecimal() else datetime.now(UTC)
    return when.date().isoformat()
