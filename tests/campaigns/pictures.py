"""Damaged pictures: spoilt bytes, headers that claim what is not there, metadata of noise."""

from __future__ import annotations

import functools
import io
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from PIL import Image

from tests import sr_models
from tests.campaigns.campaign import Campaign, Fault, Outcome
from tests.campaigns.command import clipfree, judge
from tests.campaigns.damage import png_chunk, spoil, spoil_header
from tests.conftest import photograph
from tests.standin import standing_in


def trial(seed: int, folder: Path) -> Outcome:
    """Damage a picture as ``seed`` says, then enlarge it and calibrate with it."""
    rng = np.random.default_rng([seed, 6])
    names = sorted(_FORMATS)
    suffix = names[int(rng.integers(len(names)))]
    data = _written(suffix, rng)
    way = rng.random()
    if way < 0.55:
        data = spoil(data, rng)
    elif way < 0.85:
        data = spoil_header(data, rng)
    elif suffix == "png":
        data = _claims(rng)
    path = folder / f"photo.{suffix}"
    path.write_bytes(data)
    out = folder / "big.png"
    with standing_in():
        outcome = judge(clipfree("run", _bundle(), path, "-o", out))
        if outcome.verdict == "passed":
            Image.open(out).load()
        elif out.exists():
            raise Fault("a picture was written all the same")
        if rng.random() < 0.2:
            model = _bundle().parent / "tiny.onnx"
            calibrated = judge(clipfree("deploy", model, "--calib", folder, "-o", folder / "out"))
            if (calibrated.verdict == "passed") != (outcome.verdict == "passed"):
                return Outcome("passed", f"{suffix}: {outcome.verdict} by run, {calibrated.verdict} by deploy")
    return Outcome(outcome.verdict, f"{suffix}: {outcome.note}", outcome.details)


@functools.cache
def _bundle() -> Path:
    """A bundle that the stand-in for the compiler runs, beside its model."""
    from toolchain.workflows.deploy import Request, deploy

    folder = Path(tempfile.mkdtemp(prefix="clipfree-pictures-"))
    onnx.save(sr_models.xlsr(2, width=2, blocks=1), folder / "tiny.onnx")
    Image.fromarray(photograph(60, 70, 0)).save(folder / "photo.png")
    with standing_in():
        return deploy(Request(folder / "tiny.onnx", folder, folder / "photo.png")).path


def _written(suffix: str, rng: np.random.Generator) -> bytes:
    pixels = photograph(int(rng.integers(1, 40)), int(rng.integers(1, 40)), int(rng.integers(100)))
    image = Image.fromarray(pixels)
    modes, options = _FORMATS[suffix]
    mode = modes[int(rng.integers(len(modes)))]
    if mode == "I;16":
        image = Image.fromarray(pixels[:, :, 0].astype(np.uint16) * 257)
    elif mode in ("I", "F"):
        image = image.convert("L").convert(mode)
    else:
        image = image.convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, **options(rng))
    return buffer.getvalue()


def _metadata(rng: np.random.Generator) -> dict[str, object]:
    """EXIF of some orientation, a colour profile of noise."""
    exif = Image.Exif()
    exif[0x0112] = int(rng.integers(0, 12))
    extra: dict[str, object] = {"exif": exif.tobytes()} if rng.random() < 0.5 else {}
    return extra | ({"icc_profile": rng.bytes(int(rng.integers(1, 300)))} if rng.random() < 0.3 else {})


def _animation(rng: np.random.Generator) -> dict[str, object]:
    frames = [Image.fromarray(photograph(12, 14, index)) for index in range(int(rng.integers(0, 3)))]
    return {"save_all": True, "append_images": frames}


Options = Callable[[np.random.Generator], dict[str, object]]
_FORMATS: dict[str, tuple[tuple[str, ...], Options]] = {
    "png": (("RGB", "RGBA", "L", "LA", "P", "1", "I;16"), lambda rng: {"format": "PNG", **_metadata(rng)}),
    "jpg": (
        ("RGB", "L", "CMYK"),
        lambda rng: {"format": "JPEG", **_metadata(rng), "progressive": bool(rng.integers(2))},
    ),
    "webp": (("RGB", "RGBA"), lambda rng: {"format": "WEBP", **_metadata(rng), "lossless": bool(rng.integers(2))}),
    "tiff": (
        ("RGB", "RGBA", "L", "CMYK", "I;16", "I", "F", "LAB", "YCbCr"),
        lambda rng: {"format": "TIFF", "compression": [None, "tiff_lzw", "tiff_adobe_deflate"][rng.integers(3)]},
    ),
    "gif": (("P", "L"), lambda rng: {"format": "GIF", **_animation(rng)}),
    "bmp": (("RGB", "L", "P", "1"), lambda rng: {"format": "BMP"}),
    "ppm": (("RGB", "L", "1"), lambda rng: {"format": "PPM"}),
    "tga": (("RGB", "RGBA", "L"), lambda rng: {"format": "TGA"}),
    "ico": (("RGBA",), lambda rng: {"format": "ICO"}),
    "jp2": (("RGB", "L"), lambda rng: {"format": "JPEG2000"}),
}


def _claims(rng: np.random.Generator) -> bytes:
    """A PNG whose checksums are right and whose sizes are not."""
    sizes = (0, 1, 2**15, 2**20, 2**31 - 1)
    width, height = (int(sizes[i]) for i in rng.integers(0, len(sizes), 2))
    depth, colours = int(rng.choice([1, 8, 16, 3])), int(rng.choice([0, 2, 3, 6, 7]))
    header = struct.pack(">IIBBBBB", width, height, depth, colours, 0, 0, int(rng.integers(2)))
    chunks = [png_chunk(b"IHDR", header)]
    if rng.random() < 0.5:
        chunks.append(
            png_chunk(
                [b"iCCP", b"zTXt", b"iTXt", b"eXIf", b"tRNS", b"PLTE", b"acTL"][rng.integers(7)],
                rng.bytes(int(rng.integers(40))),
            )
        )
    return b"\x89PNG\r\n\x1a\n" + b"".join([*chunks, png_chunk(b"IDAT", rng.bytes(20)), png_chunk(b"IEND", b"")])


CAMPAIGN = Campaign(
    "pictures", "damaged pictures: enlarged, or a sentence", trial, limit=120, share=2, sample=range(30)
)
