"""A super-resolution network: `upscale` takes a picture and makes a larger one, on this computer's CPU or GPU.

Pictures are arrays of NumPy, u8 (height, width, 3), or (height, width) where the network is for grey pictures; or
Pillow's images, and then the result is one too. Nothing but NumPy is needed.
"""

from __future__ import annotations

import threading
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from .interface import MOST_THREADS, InterfaceError
from .interface import Network as Opened

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["InterfaceError", "Network", "upscale"]

_FILE = Path(__file__).with_name("model.so")


class Network:
    """The network, opened: with threads and memory of its own, which `close` gives back.

    Any thread may use it; they wait for each other. Networks do not: one each lets threads work at once.

    Attributes:
        name: what the network is called.
        target: which processors it was compiled for.
        channels: of its pictures: 3, red, green and blue, or 1, grey.
        scale: by how much it enlarges: a whole number, or a Fraction.
        smallest: height and width of the smallest picture that it takes.
    """

    def __init__(self, threads: int | None = None) -> None:
        """Open the network.

        Args:
            threads: that a picture is cut among; None: as many as there are cores.

        Raises:
            InterfaceError: it cannot run here, and why.
            ValueError: there are no such numbers of threads.
        """
        if threads is not None and not 1 <= threads <= MOST_THREADS:
            raise ValueError(f"threads are 1 to {MOST_THREADS}, not {threads}")
        self._lock, self._opened, self._open = threading.Lock(), Opened(_FILE, threads or 0), True
        info = self._opened.info
        self.name: str = info.name.decode()
        self.target: str = info.target.decode()
        self.channels: int = info.channels
        scale = Fraction(info.scale_num, info.scale_den)
        self.scale: int | Fraction = int(scale) if scale.denominator == 1 else scale
        self.smallest: tuple[int, int] = (info.smallest_height, info.smallest_width)

    def close(self) -> None:
        """Give back what the network holds; it cannot be used any more."""
        with self._lock:
            self._opened.close()
            self._open = False

    def __enter__(self) -> Network:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @overload
    def upscale(self, picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]: ...
    @overload
    def upscale(self, picture: Image) -> Image: ...
    def upscale(self, picture: Any) -> Any:
        """Make a picture larger.

        Args:
            picture: u8 (height, width, channels), or (height, width) where the network is for grey pictures; or an
                image of Pillow. Rows may have any distance.

        Returns:
            The same kind of thing, with sides times `scale`, rounded down.

        Raises:
            TypeError, ValueError: it is no such picture.
            InterfaceError: it is too small or too large for the network, or memory is short.
        """
        if type(picture).__module__.startswith("PIL."):
            return self._image(picture)
        pixels: npt.NDArray[np.uint8] = picture
        if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8:
            kind = pixels.dtype if isinstance(pixels, np.ndarray) else type(picture).__name__
            raise TypeError(f"a picture is an array of uint8 or an image of Pillow, not {kind}")
        flat = pixels.ndim == 2 and self.channels == 1
        if not flat and (pixels.ndim != 3 or pixels.shape[2] != self.channels):
            raise ValueError(f"this network takes (height, width, {self.channels}), not {pixels.shape}")
        result = self._upscale(pixels[..., None] if flat else pixels)
        return result[..., 0] if flat else result

    def _image(self, image: Image) -> Image:
        from PIL import Image as Pillow

        mode = "RGB" if self.channels == 3 else "L"
        if mode == "L" and image.mode not in ("L", "1"):
            raise ValueError(f"this network takes grey images, not {image.mode}")
        return Pillow.fromarray(self.upscale(np.asarray(image.convert(mode))))

    def _upscale(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        if pixels.strides[1:] != (self.channels, 1):
            pixels = np.ascontiguousarray(pixels)
        with self._lock:
            if not self._open:
                raise ValueError("the network is closed")
            result = np.empty((*self._opened.result_size(*pixels.shape[:2]), self.channels), np.uint8)
            self._opened.upscale(pixels, result)
        return result


_opened: dict[int | None, Network] = {}
_opening = threading.Lock()


@overload
def upscale(picture: npt.NDArray[np.uint8], *, threads: int | None = None) -> npt.NDArray[np.uint8]: ...
@overload
def upscale(picture: Image, *, threads: int | None = None) -> Image: ...
def upscale(picture: Any, *, threads: int | None = None) -> Any:
    """Make a picture larger, see `Network.upscale`; the network is opened by the first call, and stays open.

    Args:
        picture: an array of NumPy, or an image of Pillow.
        threads: that the picture is cut among; None: as many as there are cores.

    Raises:
        TypeError, ValueError, InterfaceError: as `Network` and its `upscale`.
    """
    with _opening:
        if threads not in _opened:
            _opened[threads] = Network(threads)
    return _opened[threads].upscale(picture)
