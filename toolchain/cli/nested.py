"""``clipfree nested``: a file of nested networks in, what it holds, and the beginning of it that has fewer bits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toolchain.cli.completion import complete_network
from toolchain.cli.console import Console, Json
from toolchain.support.errors import InputError


def nested(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="model.nested, or a bundle that holds one.", autocompletion=complete_network
        ),
    ],
    bits: Annotated[int | None, typer.Option("--bits", help="Of the network to cut off.")] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="The file for it, which `clipfree deploy` takes.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the networks that `deploy --bits-nested` put into one file, or cut off the one of fewer bits."""
    from toolchain.workflows.nested import cut, open_nested

    if (bits is None) != (out is None):
        raise InputError("--bits and -o belong together", hint="say both to cut a network off, none to list them")
    console = Console(as_json=as_json)
    found = open_nested(path)
    members = [{"bits": held, "size": len(found.prefix(held))} for held in reversed(found.held)]
    if bits is None or out is None:
        for member in members:
            console.say(f"{member['bits']} bits: the first {member['size']} bytes")
    else:
        console.say(f"{out}: {bits} bits, {cut(found, bits, out)} bytes")
    console.result(command="nested", name=found.header.name, members=members, out=out)
