"""Makes docs/before-after.png: a photograph, reduced three times, upscaled by the embedded model in INT8.

    python docs/picture.py          # extra: demo

The photograph is scikit-image's `astronaut`: Eileen Collins, by NASA, in the public domain. The model is calibrated
with the other photographs there.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from toolchain.backends.open import load
from toolchain.bundle import open_bundle
from toolchain.workflows.demo import make_demo
from toolchain.workflows.deploy import Request, deploy
from toolchain.zoo.demo_photos import demo_photographs
from toolchain.zoo.embedded import resolve

SHOWN = "astronaut"


def main() -> None:
    """Deploy, upscale, write the sheet."""
    photographs = demo_photographs()
    shown = tuple(path for path in photographs if path.stem == SHOWN)
    others = tuple(path for path in photographs if path.stem != SHOWN)
    with tempfile.TemporaryDirectory() as folder:
        bundle = open_bundle(deploy(Request(resolve("zoo:xlsr_x3"), Path(folder), others)).path)
        manifest = bundle.manifest
        made = make_demo(
            shown, load(bundle).upscale, channels=manifest.channels, scale=manifest.scale, out=Path(folder, "demo")
        )
        (sheet,) = (path for path in made.files if path.name == "before-after.png")
        Path(__file__).with_name(sheet.name).write_bytes(sheet.read_bytes())
    print(f"PSNR of luma: bicubic {made.bicubic.psnr_y:.2f} dB, clipfree {made.network.psnr_y:.2f} dB")


if __name__ == "__main__":
    main()
