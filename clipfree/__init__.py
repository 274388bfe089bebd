"""Deploy super-resolution networks as small INT8 libraries, and run them.

    import clipfree

    network = clipfree.deploy("model.onnx", photographs="photos/")
    network.upscale("photo.png").save("big.png")
    clipfree.load("out/model.clipfree").evaluate("Set5/").mean.bundle.psnr_y

What is named here keeps its name and meaning within a major version; `toolchain` is the inside. Mistakes are raised as
`ClipfreeError` or an error derived from it, with a ``message`` and a ``hint``.
"""

import importlib
from typing import TYPE_CHECKING, Any

from clipfree.arguments import Photographs, Progress
from clipfree.comparison import compare
from clipfree.deployment import deploy
from clipfree.listings import TargetInfo, ZooNetwork, targets, zoo
from clipfree.network import Network, bench, evaluate, load
from clipfree.notebook import BeforeAfter
from clipfree.studies import TunedKernel, Tuning, fidelity, represent, tune
from clipfree.training import finetune
from toolchain import __version__
from toolchain.support.errors import (
    BundleError,
    CalibrationError,
    ClipfreeError,
    InputError,
    ModelError,
    OutputError,
    QualityError,
    TargetError,
    TuningError,
    VerificationError,
)

if TYPE_CHECKING:
    from toolchain.runtime.measure import Timing
    from toolchain.workflows.compare.result import Comparison
    from toolchain.workflows.evaluate import Evaluation
    from toolchain.workflows.fidelity import Fidelity
    from toolchain.workflows.finetune import FinetuneResult
    from toolchain.workflows.report.proof import Proof

__all__ = [
    "BeforeAfter",
    "BundleError",
    "CalibrationError",
    "ClipfreeError",
    "Comparison",
    "Evaluation",
    "Fidelity",
    "FinetuneResult",
    "InputError",
    "ModelError",
    "Network",
    "OutputError",
    "Photographs",
    "Progress",
    "Proof",
    "QualityError",
    "TargetError",
    "TargetInfo",
    "Timing",
    "TunedKernel",
    "Tuning",
    "TuningError",
    "VerificationError",
    "ZooNetwork",
    "__version__",
    "bench",
    "compare",
    "deploy",
    "evaluate",
    "fidelity",
    "finetune",
    "load",
    "represent",
    "targets",
    "tune",
    "zoo",
]

_RESULTS = {
    "Comparison": "toolchain.workflows.compare.result",
    "Evaluation": "toolchain.workflows.evaluate",
    "Fidelity": "toolchain.workflows.fidelity",
    "FinetuneResult": "toolchain.workflows.finetune",
    "Proof": "toolchain.workflows.report.proof",
    "Timing": "toolchain.runtime.measure",
}
"""What functions return, and where it is from: imported when it is asked for, for it takes onnxruntime along."""


def __getattr__(name: str) -> Any:
    if name not in _RESULTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_RESULTS[name]), name)
