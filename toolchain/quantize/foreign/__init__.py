"""Networks that other tools quantized, brought to the canonical form or refused with the reason.

The quantizers are taken off, which leaves a float network and what the other tool had decided: a range for each tensor,
a scale for each channel of each weight. The network is normalized like any other and quantized again with those
decisions. Only the ends change: input and output become pixels exactly.

Accepted: activations of 8 or 16 bits per tensor, signed or not; int8 or uint8 weights per tensor or per channel, as
integers or as QuantizeLinear -> DequantizeLinear of float constants; int32 or float biases.
"""

from toolchain.quantize.foreign.canonicalize import canonicalize

__all__ = ["canonicalize"]
