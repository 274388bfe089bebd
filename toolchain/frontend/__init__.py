"""From an ONNX file to a normalized super-resolution graph: load and check, then rewrite to few operators."""

from toolchain.frontend.load import is_quantized, load_model
from toolchain.frontend.model import Clip, Merge, SRModel
from toolchain.frontend.normalize import normalize

__all__ = ["Clip", "Merge", "SRModel", "is_quantized", "load_model", "normalize"]
