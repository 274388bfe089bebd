"""What would mend a network that loses too much: tried, not guessed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from toolchain.quantize.calibrated import Calibrated, Rounded
from toolchain.quantize.code_set import ALL
from toolchain.quantize.fidelity import Blame
from toolchain.quantize.mixed import Finer, whole_name
from toolchain.quantize.recipe import ask_for
from toolchain.quantize.spending import offered_pieces, within_loss
from toolchain.quantize.weight_bits import whole_output
from toolchain.quantize.widen import price
from toolchain.reference.network import describe_network
from toolchain.reference.quantization import WIDE_BITS
from toolchain.support.errors import ModelError

if TYPE_CHECKING:
    import onnx

_AIMS = (0.03, 0.01)
"""Losses of PSNR in dB that are worth aiming at."""
_SINGLE = 3
"""Tensors that are tried alone, and convolutions whose weights are."""
_LEAST = 0.1
"""The part of the loss that one of them must mend to be told."""


@dataclass(frozen=True)
class Fix:
    """Something that loses less.

    Attributes:
        options: for `clipfree deploy`, in the place of --budget and --max-loss.
        after: PSNR that is then lost against the float network, in dB.
        work: multiply-accumulates that it adds, in percent of those with 8 bits everywhere.
        tensors: that then have 16 bits, or more channels of 16 bits, by name; or the weights that have 8 then.
        command: the whole command; empty where nobody said how the network was deployed.
    """

    options: tuple[str, ...]
    after: float
    work: float
    tensors: tuple[str, ...]
    command: str = ""


def find_fixes(
    calibrated: Calibrated, found: Rounded, deployed: Rounded, before: float, blames: Sequence[Blame]
) -> tuple[Fix, ...]:
    """Return what loses less than a network: a bound on the loss, 16 bits for single tensors or some of their channels,
    best first, and 8 bits for the weights of single convolutions that have fewer, best first.

    Args:
        calibrated: the network.
        found: the same with 8 bits but where the user decided.
        deployed: the same as it would be deployed.
        before: PSNR that it loses, in dB.
        blames: of its parts.
    """
    aim = next((aim for aim in _AIMS if before > aim), None)
    if aim is None:
        return ()
    try:
        fixes = [_bound(calibrated, found, aim), *_singles(calibrated, found, deployed, blames)]
        fixes += _weights(calibrated, deployed, blames)
    except ModelError:  # some operator cannot be expressed where there are 16 bits
        return ()
    return tuple(fix for fix in fixes if before - fix.after >= _LEAST * before)


def _bound(calibrated: Calibrated, found: Rounded, aim: float) -> Fix:
    made = within_loss(calibrated, found, aim).bound
    if made is None:
        raise AssertionError("a bound leaves a record")
    return Fix(
        ("--max-loss", f"{aim:g}"), made.after, made.spent, tuple(dict.fromkeys(item.name for item in made.chosen))
    )


def _singles(calibrated: Calibrated, found: Rounded, deployed: Rounded, blames: Sequence[Blame]) -> list[Fix]:
    """Try the tensors that seem to be worth most, each alone: those of its channels of 8 bits that count most, or all
    where it cannot be split. Each is made as deploying would.
    """
    start, decided = calibrated.described(found), frozenset(calibrated.bits)
    prices = {part.name for part in price(start, calibrated.plan) if calibrated.plan.group[part.name] not in decided}
    together = offered_pieces(calibrated, start)
    fixes: list[Fix] = []
    for blame in sorted(blames, key=lambda one: -one.gain):
        name = whole_name(blame.part.name)
        finer = _finer(deployed.finer, name, together.get(name))
        tried = name in {fix.tensors[0] for fix in fixes}
        if tried or blame.part.kind == "weights" or name not in prices or finer is None or blame.gain <= 0:
            continue
        made = calibrated.rounded(finer).model
        bits = {tensor: WIDE_BITS if channels is None else channels for tensor, channels in finer.items()}
        fixes.append(Fix(ask_for(bits), calibrated.drop(made), _work(made), (name,)))
        if len(fixes) == _SINGLE:
            break
    return sorted(fixes, key=lambda fix: fix.after)


def _weights(calibrated: Calibrated, deployed: Rounded, blames: Sequence[Blame]) -> list[Fix]:
    """Try 8 bits for the weights of few bits that cost most by themselves, one convolution after the other, each alone.
    What vanishes without them says little: they are rounded so as to make up for errors before them. Those whose bits
    somebody has given by their very name stay as they are.
    """
    named = calibrated.settings.weight_bits
    sites = calibrated.plan.convolutions
    wide = {name: WIDE_BITS if channels is None else channels for name, channels in deployed.finer.items()}
    options = ask_for(wide) if wide else ()
    free = {one for one in calibrated.codes if one in sites and not {one, sites[one].weight} & set(named)}
    fixes: list[Fix] = []
    for blame in sorted(blames, key=lambda one: -one.alone):
        output = whole_output(blame.part.name)
        if blame.part.kind != "weights" or output not in free:
            continue
        free.remove(output)
        codes = {name: one for name, one in calibrated.codes.items() if name != output}
        made = replace(calibrated, codes=codes).rounded(deployed.finer).model
        fixes.append(
            Fix((*options, "--weight-bits", f"{output}={ALL.bits}"), calibrated.drop(made), _work(made), (output,))
        )
        if len(fixes) == _SINGLE:
            break
    return sorted(fixes, key=lambda fix: fix.after)


def _work(model: onnx.ModelProto) -> float:
    """Return the multiply-accumulates that tensors of 16 bits add, in percent."""
    figures = describe_network(model)
    return 100 * figures.doubled_per_pixel / max(figures.macs_per_pixel, 1.0)


def _finer(finer: Finer, name: str, pieces: Sequence[tuple[int, ...]] | None) -> Finer | None:
    """Return the tensors and channels of 16 bits with the next ones of a tensor; None where it has all."""
    there: tuple[int, ...] | None = finer.get(name, ())
    if there is None:
        return None
    more = next((piece for piece in pieces or () if not set(piece) <= set(there)), None)
    several = more is not None and len(there) + len(more) < sum(map(len, pieces or ()))
    return {**finer, name: tuple(sorted({*there, *(more or ())})) if several else None}
