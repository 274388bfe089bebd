"""Outliers of a convolution's weights that are kept out of their output's scale, as many as pay.

Branches that were merged (RepVGG, ECBSR, SESR) leave an output's own centre tap tens of times larger than its other
weights, and last layers have such taps without any branch. Of few bits, the scale that such a weight wants leaves the
others nothing. Kernels multiply by int8 whatever codes there are: so the largest weights of each output may have all of
int8, in the scale that suits the others (our reading of coarse and fine weight splitting, CFWS, arXiv 2312.10588, with
one code in place of two).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from toolchain.quantize.code_set import CodeSet
from toolchain.quantize.rounding import round_groups
from toolchain.reference.pairs import Reals

_STORED: Final = 16
"""Bits that an outlier takes beside its code of few bits: its place and a byte."""
_QUARTER: Final = 4.0
"""By how much less the error is with one bit more."""


def round_with_outliers(
    weights: Reals, powers: Sequence[Reals], among: CodeSet
) -> tuple[NDArray[np.int8], NDArray[np.float32], CodeSet]:
    """Round weights by `round_groups`, with so many outliers of each output as lose less than their bits would, if all
    weights had them: codes (O, I, kh, kw), scales (O,) and the set of codes.

    Args:
        weights: (O, I, kh, kw).
        powers: of the inputs of each group.
        among: how many outliers there may be.
    """
    codes, scale = round_groups(weights, powers, among)
    taps, price, count = weights[0].size, _loss(weights, codes, scale, powers), 1
    while count <= min(among.most_outliers, taps - 1):
        tried = replace(among, outliers=count)
        more, scales = round_groups(weights, powers, tried)
        asked = _loss(weights, more, scales, powers) * _QUARTER ** (_STORED * count / taps)
        if asked >= price:
            break
        codes, scale, among, price, count = more, scales, tried, asked, 2 * count
    return codes, scale, among


def _loss(weights: Reals, codes: NDArray[np.int8], scale: NDArray[np.float32], powers: Sequence[Reals]) -> float:
    errors = weights - codes * scale.astype(np.float64).reshape(-1, 1, 1, 1)
    parts = zip(np.split(errors.reshape(len(errors), -1), len(powers)), powers, strict=True)
    return float(sum(np.einsum("ok,kl,ol->", error, power, error, optimize=True) for error, power in parts))
