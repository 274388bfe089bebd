"""Where the quality of a quantized network is lost: per tensor, and by quantizing one thing, or all but one."""

from toolchain.quantize.fidelity.blame import Blame, BlameReport, OutputLoss, assign_blame, count_runs, find_culprits
from toolchain.quantize.fidelity.tensors import TensorFidelity, compare_tensors
from toolchain.quantize.fidelity.variants import Part, list_parts, write_variant

__all__ = [
    "Blame",
    "BlameReport",
    "OutputLoss",
    "Part",
    "TensorFidelity",
    "assign_blame",
    "compare_tensors",
    "count_runs",
    "find_culprits",
    "list_parts",
    "write_variant",
]
