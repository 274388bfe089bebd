"""A bundle as an object: it enlarges pictures, and tells how well and how fast."""

from __future__ import annotations

import html
from collections.abc import Callable
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, overload

import numpy as np
import numpy.typing as npt
from PIL import Image

from clipfree.arguments import Progress, by_count
from clipfree.notebook import BeforeAfter
from clipfree.pictures import array_of, image_of, photo_of_array, photo_of_image

if TYPE_CHECKING:
    from toolchain.bundle import Manifest
    from toolchain.images import Photo
    from toolchain.runtime.measure import Timing
    from toolchain.workflows.evaluate import Evaluation

Pixels = npt.NDArray[np.uint8]


def load(bundle: str | Path, *, threads: int | None = None) -> Network:
    """Open a bundle; its files are checked, and its library is loaded when it is first used.

    Args:
        bundle: a folder made by `deploy`.
        threads: that a picture is cut among; None: all cores.

    Raises:
        BundleError: it is damaged, foreign, or of another version.
    """
    return Network(bundle, threads=threads)


def evaluate(
    bundle: Network | str | Path,
    hr: str | Path,
    lr: str | Path | None = None,
    *,
    degradation: str | None = None,
    compare: str | Path | None = None,
    perceptual: bool = False,
    shave: int | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Do what `Network.evaluate` does for a network, or the bundle of one."""
    return _opened(bundle).evaluate(
        hr, lr, degradation=degradation, compare=compare, perceptual=perceptual, shave=shave, progress=progress
    )


def bench(
    bundle: Network | str | Path,
    size: tuple[int, int] = (360, 640),
    *,
    threads: int | None = None,
    repeats: int = 30,
    seconds: float = 10.0,
) -> Timing:
    """Do what `Network.bench` does for a network, or the bundle of one on so many ``threads`` (None: every core)."""
    network = _opened(bundle) if threads is None else load(_opened(bundle).path, threads=threads)
    return network.bench(size, repeats=repeats, seconds=seconds)


def _opened(bundle: Network | str | Path) -> Network:
    return bundle if isinstance(bundle, Network) else load(bundle)


class Network:
    """A deployed network.

    Args and errors are those of `load`. Where this machine cannot run the bundle, what runs it raises BundleError.

    Attributes:
        path: of the bundle.
        manifest: all that the bundle says of itself.
    """

    def __init__(self, bundle: str | Path, *, threads: int | None = None) -> None:
        from toolchain.bundle import open_bundle

        self.path = Path(bundle)
        self._bundle = open_bundle(self.path)
        self.manifest: Manifest = self._bundle.manifest
        self._threads = threads

    @property
    def name(self) -> str:
        """Of the model."""
        return self.manifest.name

    @property
    def scale(self) -> int | Fraction:
        """Output pixels per input pixel and direction."""
        return self.manifest.scale

    @property
    def target(self) -> str:
        """What it was compiled for."""
        return self.manifest.target.name

    @property
    def report(self) -> Path | None:
        """Its page to look at; None where none was written."""
        from toolchain.bundle import PAGE

        return self.path / PAGE if PAGE in self.manifest.files else None

    @property
    def loss(self) -> str:
        """What INT8 costs against the float network, as a sentence; empty where it is not known."""
        return "" if self.manifest.loss is None else str(self.manifest.loss)

    @overload
    def upscale(self, picture: Pixels) -> Pixels: ...
    @overload
    def upscale(self, picture: str | Path | Image.Image) -> Image.Image: ...
    def upscale(self, picture: Pixels | str | Path | Image.Image) -> Pixels | Image.Image:
        """Enlarge a picture of any size, in tiles where it is large; a luma network's chroma, and alpha, bicubically.

        Args:
            picture: u8 (h, w), (h, w, 1), (h, w, 3) or, with alpha, (h, w, 4), or several of one size, (n, h, w, C); or
                an image of Pillow, or a file.

        Returns:
            what was given, larger: an array of the same layout, or an image of Pillow, with 8 bits, grey, RGB or RGBA.

        Raises:
            InputError: it is no such picture, or none that the network takes.
            BundleError: this machine cannot run the network.
        """
        from toolchain.images.scale import enlarged

        if isinstance(picture, np.ndarray):
            if picture.ndim == 4 and not len(picture):
                height, width = (enlarged(side, self.scale) for side in picture.shape[1:3])
                return np.empty((0, height, width, picture.shape[3]), np.uint8)
            if picture.ndim == 4:
                return np.stack([self.upscale(one) for one in picture])
            return array_of(self._enlarge(photo_of_array(picture)), picture)
        return image_of(self._enlarge(photo_of_image(picture) if isinstance(picture, Image.Image) else _read(picture)))

    def before_after(self, picture: Pixels | str | Path | Image.Image) -> BeforeAfter:
        """Enlarge a picture bicubically and by the network, to look at both: notebooks show them on top of each other.

        Args:
            picture: as for `upscale`, but one.

        Raises:
            InputError, BundleError: as there.
        """
        image = (
            picture
            if isinstance(picture, Image.Image)
            else image_of(photo_of_array(picture) if isinstance(picture, np.ndarray) else _read(picture))
        )
        after = self.upscale(image)
        flat = image if image.mode in ("L", "LA", "RGB", "RGBA") else image.convert("RGB")
        return BeforeAfter(flat.resize(after.size, Image.Resampling.BICUBIC), after)

    def evaluate(
        self,
        hr: str | Path,
        lr: str | Path | None = None,
        *,
        degradation: str | None = None,
        compare: str | Path | None = None,
        perceptual: bool = False,
        shave: int | None = None,
        progress: Progress | None = None,
    ) -> Evaluation:
        """Measure PSNR and SSIM against high-resolution pictures.

        Args:
            hr: a folder of them.
            lr: a folder of their low-resolution ones; None: they are made.
            degradation: how: "bicubic" (None), "matlab-bicubic", "area"; for networks that do not enlarge "none"
                (None), "noise:SIGMA", "jpeg:QUALITY".
            compare: a float model, any other that onnxruntime runs, a bundle, or "zoo:NAME", measured beside.
            perceptual: measure FLIP too, which the extra ``perceptual`` brings.
            shave: border pixels left out on each side; None: the scale.
            progress: called with the name of each picture, and the share of them that is done.

        Returns:
            figures for each picture (``rows``) and their ``mean``; with ``compare``, ``drop``, the PSNR of Y that is
            lost against it.

        Raises:
            InputError: the pictures, or what is compared, cannot be used.
            BundleError: this machine cannot run the network.
        """
        from toolchain.images.flip import load_flip
        from toolchain.images.pairs import find_pairs
        from toolchain.workflows.compared import open_compared
        from toolchain.workflows.evaluate import evaluate
        from toolchain.zoo.embedded import resolve

        known = self.manifest
        other = None
        if compare is not None:
            other = open_compared(resolve(str(compare)), known.geometry, threads=self._threads)
        return evaluate(
            self._tiled,
            find_pairs(Path(hr), None if lr is None else Path(lr), degradation, known.scale),
            channels=known.channels,
            scale=known.scale,
            shave=shave,
            compared=None if other is None else other.upscale,
            perceptual=load_flip() if perceptual else None,
            progress=by_count(progress),
        )

    def bench(self, size: tuple[int, int] = (360, 640), *, repeats: int = 30, seconds: float = 10.0) -> Timing:
        """Time the network on a picture of ``size`` (height, width), after three calls that do not count.

        Args:
            size: of the input.
            repeats: most calls timed.
            seconds: time after which no further one is begun.

        Raises:
            BundleError: this machine cannot run the network.
            VerificationError: its golden picture comes out otherwise here; nothing is timed then.
        """
        from toolchain.runtime.measure import TimingPlan
        from toolchain.workflows.bench import HostMachine, bench

        machine = HostMachine(self._bundle, self._threads)
        count = self._threads or machine.threads
        (row,) = bench(machine, self._bundle, size, [count], TimingPlan(repeats=repeats, seconds=seconds))
        return row.timing

    def __repr__(self) -> str:
        return f"<clipfree.Network {self.name} x{self.scale} for {self.target}, {self.manifest.precision}>"

    def _repr_html_(self) -> str:
        """Return a table for notebooks."""
        rows = {
            "network": f"{self.name}, x{self.scale}, {'RGB' if self.manifest.channels == 3 else 'luma'}",
            "target": f"{self.target}, {self.manifest.precision}",
            "arithmetic": self.manifest.arithmetic,
            "work": f"{self.manifest.macs_per_pixel:.0f} multiply-accumulates per input pixel",
            "loss": self.loss or "not known",
            "files": ", ".join(f"{name} {file.size / 1e3:.0f} kB" for name, file in self.manifest.files.items()),
            "bundle": str(self.path),
            "report": str(self.report or "none"),
        }
        cells = "".join(f"<tr><th>{key}</th><td>{html.escape(value)}</td></tr>" for key, value in rows.items())
        return f"<table>{cells}</table>"

    @cached_property
    def _tiled(self) -> Callable[[Pixels], Pixels]:
        """The library, on pictures of any size."""
        from toolchain.backends.open import load as open_library
        from toolchain.runtime.tiles import tiling

        runner = open_library(self._bundle, threads=self._threads)
        return tiling(self.manifest, threads=self._threads).over(runner.upscale)

    def _enlarge(self, photo: Photo) -> Photo:
        from toolchain.runtime.photo import upscale_photo

        return upscale_photo(photo, self._tiled, channels=self.manifest.channels, scale=self.scale)


def _read(path: str | Path) -> Photo:
    from toolchain.images import read_photo

    return read_photo(Path(path))
