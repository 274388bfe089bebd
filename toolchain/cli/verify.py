"""``clipfree verify``: the library of a bundle must equal the integer reference, byte for byte, here or on a board.

That of a float network must be close to the float model.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toolchain.cli.board_options import Device, Key, Rpc, Ssh, Tracker, Wait, machine_for, reach
from toolchain.cli.console import Console, Json, Quiet, Threads, Verbose
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
    device: Device = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: Json = False,
) -> None:
    """Compare a bundle with the NumPy integer reference of its QDQ model; equal means every byte.

    A float bundle is compared with its float model in onnxruntime, within a bound that is stated.
    """
    from toolchain.backends.open import load_each_way
    from toolchain.cli.results import VerifyResult
    from toolchain.images import read_photo, to_channels
    from toolchain.quantize import IntegerReference
    from toolchain.reference.bounds import prove
    from toolchain.runtime.verify import agreeing, compare, make_cases, standard_for, verdict, verify
    from toolchain.targets.precision import INT8
    from toolchain.workflows.evaluate import float_upscale

    console = Console(as_json=as_json, quiet=quiet, verbose=verbose)
    with (
        reach(rpc, tracker, key, ssh) as place,
        machine_for(bundle, place, wait=wait, threads=threads, device=device) as (opened, machine),
    ):
        manifest = opened.manifest
        channels = manifest.channels
        natural = to_channels(read_photo(photo).pixels, channels) if photo else None
        picture, expected = opened.golden()
        model = opened.model()
        integer = manifest.precision == INT8
        reference = IntegerReference(model).run if integer else float_upscale(model, manifest.value_range)
        standard = standard_for(manifest.precision, manifest.coverage.float_operators)
        here = place is None and device is None
        ways = load_each_way(opened, threads=threads) if here else (machine,)
        upscale = agreeing([way.upscale for way in ways])
        compare("golden picture", upscale(picture), expected, standard)
        cases = make_cases(channels, picture if natural is None else natural, seed=seed)
        with console.progress(len(cases)) as tell:
            done = verify(upscale, reference, cases, standard, progress=lambda name: tell(name, 0))
    proof = prove(model, manifest.value_range) if integer else None
    equal = not any(case.difference for case in done)
    kind = "equal" if equal else verdict(done, standard).rstrip(",")
    console.say(
        f"{kind}: the golden picture and {len(done)} others, {sum(case.values for case in done)} input values"
        + (f", on {machine.cpu.name}" if manifest.target.gpu else "")
    )
    if proof:
        console.say(f"for any picture: {proof}")
    result = VerifyResult(
        bundle=str(bundle),
        equal=equal,
        against=standard.name,
        tolerance=standard.tolerance,
        cases=tuple(done),
        proof=proof,
        device=machine.cpu.name if manifest.target.gpu else None,
    )
    console.document(result)
