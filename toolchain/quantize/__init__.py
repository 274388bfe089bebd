"""Post-training quantization to 8 bits: a float network and photographs in, standard QDQ ONNX and a recipe out."""

from toolchain.quantize.foreign import canonicalize
from toolchain.quantize.pipeline import quantize
from toolchain.quantize.quantized import QuantizedModel
from toolchain.quantize.recipe import Recipe
from toolchain.quantize.settings import Settings
from toolchain.reference.interpreter import IntegerReference

__all__ = ["IntegerReference", "QuantizedModel", "Recipe", "Settings", "canonicalize", "quantize"]
