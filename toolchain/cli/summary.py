"""What a deployment came to, in a few lines."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from toolchain.cli.console import Console, quantity

if TYPE_CHECKING:
    from toolchain.workflows.deploy import Deployment


def summarize(done: Deployment, console: Console) -> None:
    """Print it, and what the user is warned of."""
    console.summary(str(done.path), list(_rows(done)))
    for warning in done.warnings:
        console.note(f"warning: {warning}")


def _rows(done: Deployment) -> Iterator[tuple[str, str]]:
    """Yield what each line is about, and the line."""
    from toolchain.bundle import PAGE
    from toolchain.runtime.verify import standard_for, verdict
    from toolchain.targets.precision import INT8

    manifest = done.manifest
    kind = "RGB" if manifest.channels == 3 else "luma"
    work = quantity(manifest.macs_per_pixel, "MAC")
    yield "network", f"x{manifest.scale} {kind}, {done.network.parameters} parameters, {work} per input pixel"
    timed = manifest.tuned.share == 1 and not manifest.tuned.estimated_kernels
    slow = manifest.precision == INT8 and not timed and not manifest.target.gpu
    yield "kernels", f"{manifest.arithmetic}{'; `clipfree tune` finds faster tiles' if slow else ''}"
    if manifest.precision == INT8:
        yield "quality", str(manifest.loss or "INT8 against float: not known, the model came quantized")
    if manifest.weights:
        yield "", manifest.weights
    if manifest.loss and manifest.loss.drop is not None and not (done.bound or done.traded):
        yield "", f"{manifest.loss.drop:.3f} dB below float"
    for spent in (done.budget, done.bound, done.traded):
        if spent:
            yield "", str(spent)
    if done.network.wide:
        yield "", done.network.describe_wide()
    if by_hand := done.report["calibration"]["by_hand"]:
        yield "", f"by hand: {shlex.join(by_hand)}"
    if clip := done.report["model"]["clip"]:
        yield "clip", f"final clip {clip['low']:g}..{clip['high']:g} ({clip['spelling']}) became the output's range"
    if tamed := done.report["calibration"]["representative"]:
        yield "photographs", _tamed(tamed)
    if done.verified:
        standard = standard_for(manifest.precision, manifest.coverage.float_operators)
        yield "verified", f"{verdict(done.verified, standard)} in {len(done.verified)} pictures"
    if PAGE in manifest.files:
        yield "report", f"to look at: {done.path / PAGE}"
    yield "target", f"made for {manifest.target.name} in {sum(done.seconds.values()):.1f} s"


def _tamed(tamed: dict[str, Any]) -> str:
    if not tamed["images"]:
        low, high = tamed["before"]
        return (
            f"representative set: empty, as outputs of all {tamed['rejected']} images leave the range of pixels "
            f"({low:.3g}..{high:.3g}) and no contrast is low enough; ranges are those of the photographs"
        )
    before, after = (f"{low:.3g}..{high:.3g}" for low, high in (tamed["before"], tamed["after"]))
    proof = "both ends are reached, none is passed" if tamed["proved"] else "the ends are not both reached"
    return (
        f"representative set: outputs {before} became {after}, with contrast lowered in {tamed['contracted']} of "
        f"{tamed['images']} images; {proof}"
    )
