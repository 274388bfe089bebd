"""A quantized activation of a network."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Annotated

from toolchain.support.serialization import Between, Count, OneOf


@dataclass(frozen=True)
class QuantizedTensor:
    """An activation of a QDQ graph: value = (code - zero_point) * scale, ``channels`` of them per position, each a code
    of ``bits`` bits.
    """

    name: str
    channels: Count
    scale: Annotated[float, Between(sys.float_info.min, sys.float_info.max)]
    zero_point: Count
    bits: Annotated[int, OneOf((8, 16))] = 8
