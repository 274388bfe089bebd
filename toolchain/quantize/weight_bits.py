"""How many bits weights have, as people say it: BITS for all convolutions, PATTERN=BITS for some."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Final

from toolchain.frontend.nested_bits import FEWEST, MOST, is_falling
from toolchain.quantize.code_set import ALL, LARGEST_BOOK, CodeSet, check_codes, codes_of_bits
from toolchain.quantize.plan import QuantizationPlan
from toolchain.reference.graph import Array
from toolchain.support.errors import CalibrationError, InputError

EVERY: Final = "*"
"""The pattern that all names fit."""
AUTO: Final = "auto"
"""The word for as few as keep to a bound on the loss."""


def read_weight_bits(words: Sequence[str]) -> tuple[dict[str, int], bool]:
    """Return bits by pattern, and whether all others are to be found: "4" is for all convolutions, "tail*=8" for those
    that are so called, "auto" for as few as keep to the bound on the loss.

    Raises:
        InputError: a word is not understood, or a pattern gets two numbers.
    """
    found: dict[str, int] = {}
    for word in words:
        if word == AUTO:
            continue
        name, equals, bits = word.rpartition("=")
        if not bits.isdecimal() or len(bits) > 3 or bool(equals) != bool(name):
            raise InputError(f"--weight-bits {word} is not understood", hint="say 4, auto, or PATTERN=4 for some")
        if found.setdefault(name or EVERY, int(bits)) != int(bits):
            raise InputError(f"--weight-bits gives {name or 'all convolutions'} two numbers", hint="say one of them")
    if EVERY in found and AUTO in words:
        raise InputError(f"--weight-bits {AUTO} and {found[EVERY]}: which one?", hint="say one of them")
    return found, AUTO in words


def check_weight_bits(bits: Mapping[str, int], *, codebook: bool, spare: bool) -> None:
    """Raise CalibrationError if no weights can have these bits."""
    for name, number in bits.items():
        if not FEWEST <= number <= MOST:
            whose = "weights" if name == EVERY else f"the weights of '{name}'"
            raise CalibrationError(f"{whose} cannot have {number} bits", hint=f"say {FEWEST} to {MOST}")
    if codebook and not spare and not any(number <= LARGEST_BOOK for number in bits.values()):
        raise CalibrationError(
            "a codebook is for weights of few bits", hint=f"say how many: --weight-bits {FEWEST} to {LARGEST_BOOK}"
        )


def read_bits_nested(word: str) -> tuple[int, ...]:
    """Return the bits that "8,6,4" means.

    Raises:
        InputError: it is not understood.
    """
    numbers = [number.strip() for number in word.split(",")]
    if not all(number.isdecimal() and len(number) < 4 for number in numbers):
        raise InputError(f"--bits-nested {word} is not understood", hint="say 8,6,4")
    return tuple(int(number) for number in numbers)


def check_bits_nested(bits: Sequence[int], *, others: bool, spends: bool) -> None:
    """Raise CalibrationError if no networks of so many bits can be nested; ``others``: whether something else is said
    of weights' bits; ``spends``: whether tensors are to be chosen for 16 bits.
    """
    for number in bits:
        if not FEWEST <= number <= MOST:
            raise CalibrationError(f"nested weights cannot have {number} bits", hint=f"say {FEWEST} to {MOST}")
    if len(bits) < 2:
        raise CalibrationError("one number of bits is no nest", hint="say two or more, such as --bits-nested 8,6,4")
    if not is_falling(bits):
        said = ",".join(map(str, bits))
        raise CalibrationError(f"nested bits must fall, {said} do not", hint="say the most bits first: 8,6,4")
    if others:
        raise CalibrationError(
            "nested weights have the same bits everywhere, and no codebook",
            hint="leave out --weight-bits and --codebook, or --bits-nested",
        )
    if spends:
        raise CalibrationError(
            "for nested weights no tensors are chosen for 16 bits",
            hint="leave out --budget and --max-loss; --bits TENSOR=16 keeps one at 16 bits",
        )


def choose_codes(
    plan: QuantizationPlan, bits: Mapping[str, int], constants: Mapping[str, Array], *, codebook: bool, outliers: bool
) -> dict[str, CodeSet]:
    """Return the set of codes that each convolution's weights get, by its output, where it is not all of int8.

    Args:
        plan: of the quantization.
        bits: by name or shell pattern of the convolution's output or its weight. A name goes before every pattern, a
            longer pattern before a shorter one.
        constants: the network's weights, by name.
        codebook: whether codes of few bits are places in codebooks, not yet fitted.
        outliers: whether others of few bits may leave some weights all of int8.

    Raises:
        CalibrationError: a name or pattern fits nothing, or a codebook were larger than its layer.
    """
    found: dict[str, CodeSet] = {}
    fitting = {key: _fitting(plan, key) for key in bits}
    for key in sorted(bits, key=lambda key: (_named(plan, key), key != EVERY, len(key), key)):
        for output in fitting[key]:
            found[output] = codes_of_bits(bits[key], codebook=codebook, outliers=outliers)
    for output, wanted in found.items():
        check_codes(output, wanted, constants[plan.convolutions[output].weight].size)
    return {output: wanted for output, wanted in found.items() if wanted != ALL}


def codes_of(output: str, chosen: Mapping[str, CodeSet]) -> CodeSet:
    """Return the set of codes of a convolution, or of the one that it is a part of (see ``mixed``)."""
    return chosen.get(output) or chosen.get(whole_output(output), ALL)


def whole_output(output: str) -> str:
    """Return the output of the convolution that one is a part of; its own where it is whole."""
    return output.removesuffix("_fine").removesuffix("_coarse")


def named_outputs(plan: QuantizationPlan, bits: Mapping[str, int]) -> frozenset[str]:
    """Return the convolutions whose bits somebody has decided, by output."""
    names = {whole_output(output): (whole_output(output), site.weight) for output, site in plan.convolutions.items()}
    return frozenset(
        output
        for output, known in names.items()
        if any(key in known or fnmatchcase(name, key) for key in bits for name in known)
    )


def _names(plan: QuantizationPlan, output: str) -> Collection[str]:
    return (output, plan.convolutions[output].weight)


def _named(plan: QuantizationPlan, key: str) -> bool:
    return any(key in _names(plan, output) for output in plan.convolutions)


def _fitting(plan: QuantizationPlan, key: str) -> list[str]:
    outputs = [output for output in plan.convolutions if key in _names(plan, output)]
    outputs = outputs or [
        output for output in plan.convolutions if any(fnmatchcase(name, key) for name in _names(plan, output))
    ]
    if not outputs:
        raise CalibrationError(
            f"the model has no convolution '{key}'", hint="`clipfree inspect` lists them; * and ? stand for any letters"
        )
    return outputs
