"""How well a library enlarges pictures, beside the FP32 model: measured once for what computes the same bytes."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from toolchain.backends import backend_for
from toolchain.backends.open import load
from toolchain.bundle import Bundle
from toolchain.images.pairs import PairSet, find_pairs
from toolchain.quantize import IntegerReference
from toolchain.runtime.tiles import tiling
from toolchain.support.errors import ClipfreeError, InputError, ModelError
from toolchain.support.progress import Tell, part_of
from toolchain.targets.precision import FLOAT32, INT8
from toolchain.workflows.compare.request import Request
from toolchain.workflows.compare.result import Quality, Row
from toolchain.workflows.compared import Compared, open_network
from toolchain.workflows.evaluate import Evaluation, Upscale, evaluate


class Judge:
    """Measures bundles on the pictures of a request.

    Args:
        request: with pictures, or nothing is measured.

    Raises:
        InputError: the pictures cannot be used for one of the models.
        CalibrationError: there are none.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self._pairs: dict[int | Fraction, PairSet] = {}
        self._floats: dict[Path, Compared | ClipfreeError] = {}
        self._plain: dict[Path, Evaluation] = {}
        self._known: dict[str, Quality] = {}
        if request.hr is not None:
            for model in request.models:
                try:
                    self._pictures(self._float(model.path).scale)
                except ModelError:  # what is wrong with it is said in its rows
                    continue

    @property
    def pictures(self) -> str:
        """Where the pictures are from, in words; empty without any."""
        if self._request.hr is None:
            return ""
        how = "; ".join(sorted({pairs.text for pairs in self._pairs.values()}))
        return f"{self._request.hr.name}: {how}" if how else self._request.hr.name

    def learn(self, row: Row) -> None:
        """Take note of what an earlier run measured."""
        if row.network and row.quality:
            self._known[row.network] = row.quality

    def judge(self, path: Path, bundle: Bundle, network: str, tell: Tell) -> Quality | None:
        """Return the quality of a bundle that was made of the model ``path``; None without pictures, and where nothing
        here computes what it does.

        Args:
            path: of the model.
            bundle: made of it.
            network: digest of its quantized network: what it is once it is always. Empty of a float one.
            tell: is told how far it is.

        Raises:
            InputError, ModelError: they do not go together.
        """
        if self._request.hr is None:
            return None
        if network in self._known:
            return self._known[network]
        known = bundle.manifest
        made_by, upscale = "library", None
        if known.target.gpu is None and backend_for(known.target).obstacle(known.target) is None:
            upscale = load(bundle).upscale
        elif known.precision == INT8:
            made_by, upscale = "integer reference", IntegerReference(bundle.model()).run
        elif known.precision != FLOAT32:
            return None
        plain = self._reached(path, part_of(tell, 0, 2))
        if upscale is None:
            made_by, found = "FP32 model", plain
        else:
            found = self._measure(tiling(known).over(upscale), known.channels, known.scale, part_of(tell, 1, 2))
        mean = found.mean.bundle
        quality = Quality(mean.psnr_y, mean.psnr_rgb, mean.ssim, plain.mean.bundle.psnr_y, len(found.rows), made_by)
        if network:
            self._known[network] = quality
        return quality

    def _reached(self, path: Path, tell: Tell) -> Evaluation:
        """Return what the FP32 model reaches."""
        if path not in self._plain:
            network = self._float(path)
            self._plain[path] = self._measure(network.upscale, network.channels, network.scale, tell)
        return self._plain[path]

    def _measure(self, upscale: Upscale, channels: int, scale: int | Fraction, tell: Tell) -> Evaluation:
        def progress(name: str, index: int, count: int) -> None:
            tell(f"enlarging {name}", index / count)

        return evaluate(upscale, self._pictures(scale), channels=channels, scale=scale, progress=progress)

    def _float(self, path: Path) -> Compared:
        if path not in self._floats:
            try:
                self._floats[path] = open_network(path, value_range=self._request.value_range)
            except ClipfreeError as error:
                self._floats[path] = error
        found = self._floats[path]
        if isinstance(found, ClipfreeError):
            raise found
        return found

    def _pictures(self, scale: int | Fraction) -> PairSet:
        if scale not in self._pairs:
            hr = self._request.hr
            if hr is None:
                raise InputError("there are no pictures to measure on")
            self._pairs[scale] = find_pairs(hr, self._request.lr, self._request.degradation, scale)
        return self._pairs[scale]
