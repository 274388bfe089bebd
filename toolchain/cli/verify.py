"""``clipfree verify``: the library of a bundle must equal the integer reference, byte for byte, here or on a board."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toolchain.cli.console import Console, Json, Threads
from toolchain.cli.places import Key, Rpc, Ssh, Tracker, Wait, machine_for, reach
from toolchain.cli.run import Bundle


def verify(
    bundle: Bundle,
    photo: Annotated[Path | None, typer.Option("--photo", help="A photograph to compare on as well.")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the noise pictures.")] = 0,
    threads: Threads = None,
    rpc: Rpc = None,
    tracker: Tracker = None,
    key: Key = None,
    ssh: Ssh = None,
    wait: Wait = 10.0,
    as_json: Json = False,
) -> None:
    """Compare a bundle with the NumPy integer reference of its QDQ model; equal means every byte."""
    from toolchain.images import read_photo, to_channels
    from toolchain.quantize import IntegerReference
    from toolchain.verify import compare, make_cases, tolerance_for, verdict, verify

    console = Console(as_json=as_json)
    with (
        reach(rpc, tracker, key, ssh) as place,
        machine_for(bundle, place, wait=wait, threads=threads) as (opened, machine),
    ):
        channels = opened.manifest.channels
        natural = to_channels(read_photo(photo).pixels, channels) if photo else None
        picture, expected = opened.golden()
        reference = IntegerReference(opened.model())
        allowed = tolerance_for(opened.manifest.coverage.float_operators)
        compare("golden picture", machine.upscale(picture), expected, tolerance=allowed)
        cases = make_cases(channels, picture if natural is None else natural, seed=seed)
        with console.progress(len(cases)) as tell:
            done = verify(machine.upscale, reference.run, cases, tolerance=allowed,
                          progress=lambda name: tell(name, 0))  # fmt: skip
    kind = "equal" if not any(case.difference for case in done) else verdict(done).rstrip(",")
    console.say(f"{kind}: the golden picture and {len(done)} others, {sum(case.values for case in done)} input values")
    console.result(command="verify", bundle=bundle, equal=kind == "equal", cases=done)
