"""``clipfree doctor``: what this machine can do, and the line that gets each thing that it lacks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from toolchain.cli.console import Console, Json

if TYPE_CHECKING:
    from toolchain.workflows.doctor import Diagnosis, Part

_TRIED = "quicksrnet_small_x2"


def doctor(
    self_test: Annotated[
        bool, typer.Option("--self-test/--no-self-test", help="Deploy a small network, and see that it runs.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Say what this machine can do: processor, targets, linkers, OpenCL, extras, and what gets what is missing."""
    from toolchain.support.errors import TargetError
    from toolchain.workflows.doctor import diagnose
    from toolchain.zoo.embedded import find

    console = Console(as_json=as_json)
    found = diagnose(find(_TRIED).path if self_test else None)
    summarize(found, console)
    console.result(command="doctor", **vars(found))
    if found.self_test is not None and not found.self_test.passed:
        raise typer.Exit(TargetError.exit_code)


def summarize(found: Diagnosis, console: Console) -> None:
    """Print it for people."""
    versions = dict(found.versions)
    console.say(
        f"clipfree {versions.pop('clipfree')}, Python {versions.pop('python')}, "
        f"{versions.pop('system')} {versions.pop('machine')}"
    )
    console.say("  " + ", ".join(f"{name} {version or '(not installed)'}" for name, version in versions.items()))
    console.say(f"processor: {found.processor}, {found.cores} cores")
    console.say(f"  {' '.join(found.features) or 'no instructions that a target asks for'}")
    console.say(f"target host: {found.host or 'none fits this processor'}")
    for title, chosen in (
        ("deployed and run here", [one for one in found.targets if one.deploys and one.runs]),
        ("deployed here, for other machines", [one for one in found.targets if one.deploys and not one.runs]),
        ("not deployed here", [one for one in found.targets if not one.deploys]),
    ):
        if chosen:
            console.say(f"  {title}: {', '.join(one.name for one in chosen)}")
    for one in found.targets:
        if not one.deploys:
            console.say(f"    {one.name}: {one.text}")
    _parts(console, "linkers, by what they link for", found.tools)
    _parts(console, "programs that run code for other machines", found.emulators)
    _parts(console, "OpenCL devices", found.opencl)
    _parts(console, "extras", found.extras)
    console.say(f"cache: {found.cache}, {found.cache_bytes / 1e6:.1f} MB; may be removed at any time")
    test = found.self_test
    if test is not None:
        console.say(f"self-test: {'passed' if test.passed else 'FAILED'} in {test.seconds:.1f} s: {test.text}")
        if test.install:
            console.say(f"  get it: {test.install}")


def _parts(console: Console, title: str, parts: Sequence[Part]) -> None:
    """Print a table: what is there, and how to get what is not."""
    console.say(f"{title}:")
    for part in parts:
        console.say(f"  {'yes' if part.there else ' - '}  {part.name:26} {part.text}")
        if part.install:
            console.say(f"{'':34} get it: {part.install}")
