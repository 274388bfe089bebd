"""3x3 convolutions by Winograd's F(4x4,3x3) in integers: a quarter of the products, the same bits.

`transforms` says why that is exact; `kernel` is the function, `weights` what it is given.
"""

from toolchain.kernels.winograd.kernel import build, workspace
from toolchain.kernels.winograd.transforms import SIDE as ROWS
from toolchain.kernels.winograd.weights import arrays, constants, exact, possible

__all__ = ["ROWS", "arrays", "build", "constants", "exact", "possible", "workspace"]
