"""What would mend a network that loses too much: tried, not guessed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from toolchain.quantize.calibrated import Calibrated, Rounded
from toolchain.quantize.fidelity import Blame
from toolchain.quantize.spending import within_loss
from toolchain.quantize.widen import price
from toolchain.reference.network import describe_network
from toolchain.support.errors import ModelError

_AIMS = (0.03, 0.01)
"""Losses of PSNR in dB that are worth aiming at."""
_SINGLE = 3
"""Tensors that are tried alone."""
_LEAST = 0.1
"""The part of the loss that one of them must mend to be told."""


@dataclass(frozen=True)
class Fix:
    """Something that loses less.

    Attributes:
        options: for `clipfree deploy`, in the place of --budget and --max-loss.
        after: PSNR that is then lost against the float network, in dB.
        work: multiply-accumulates that it adds, in percent of those with 8 bits everywhere.
        tensors: that then have 16 bits and did not, by name.
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
    """Return what loses less than a network: a bound on the loss, and single tensors of 16 bits, best first.

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
    """Try the tensors that seem to be worth most, each alone: with the weights as they are, so that rounding them anew
    can only gain.
    """
    costs = price(calibrated.described(found), calibrated.plan)
    there = describe_network(deployed.model)
    wide = list(deployed.finer)  # each whole: that is what can be said by name
    guilty = [one for one in blames if one.part in costs and one.part.name not in there.wide and one.gain > 0]
    fixes = []
    for blame in sorted(guilty, key=lambda one: -one.gain)[:_SINGLE]:
        name = blame.part.name
        made = calibrated.rewritten(dict.fromkeys((*wide, name)), deployed).model
        figures = describe_network(made)
        work = 100 * figures.doubled_per_pixel / max(figures.macs_per_pixel, 1.0)
        options = [word for one in (*wide, name) for word in ("--bits", f"{one}=16")]
        fixes.append(Fix((*options, "--budget", "0"), calibrated.drop(made), work, (name,)))
    return sorted(fixes, key=lambda fix: fix.after)
