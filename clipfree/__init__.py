"""Deploy super-resolution networks as small INT8 libraries, and run them.

    import clipfree

    network = clipfree.deploy("model.onnx", photographs="photos/")
    network.upscale("photo.png").save("big.png")
    clipfree.load("out/model.clipfree").evaluate("Set5/").mean.bundle.psnr_y

What is named here keeps its name and meaning within a major version; `toolchain` is the inside. Mistakes are raised as
`ClipfreeError` or an error derived from it, with a ``message`` and a ``hint``.
"""

from clipfree.deployment import deploy
from clipfree.network import Network, load
from toolchain import __version__
from toolchain.support.errors import (
    BundleError,
    CalibrationError,
    ClipfreeError,
    InputError,
    ModelError,
    QualityError,
    TargetError,
)

__all__ = [
    "BundleError",
    "CalibrationError",
    "ClipfreeError",
    "InputError",
    "ModelError",
    "Network",
    "QualityError",
    "TargetError",
    "__version__",
    "deploy",
    "load",
]
