"""Networks that other tools quantized, brought to the canonical form or refused with the reason.

The quantizers are taken off, which leaves a float network and what the other tool had decided: a range for each tensor,
a scale for each channel of each weight. The network is normalized like any other and quantized again with those
decisions. Only the ends change: input and output become pixels exactly.

Accepted: activations of 8 or 16 bits per tensor, signed or not; weights of 4, 8 or 16 bits per tensor, per channel or
per block, as integers or as QuantizeLinear -> DequantizeLinear of float constants; int32 or float biases; operators on
codes (QLinearConv and the like). What the file leaves in float is kept at 16 bits.
"""

from toolchain.quantize.foreign.canonicalize import canonicalize

__all__ = ["canonicalize"]
