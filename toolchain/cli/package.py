"""``clipfree package``: bundles in; what build systems, installers and apps take out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toolchain.cli.completion import choice, complete_bundle
from toolchain.cli.console import Console, Json


def package(
    bundles: Annotated[
        list[Path],
        typer.Argument(
            autocompletion=complete_bundle,
            help="A folder made by `clipfree deploy`; for Android one of each architecture.",
        ),
    ],
    kind: Annotated[
        str,
        typer.Option(
            "--as",
            autocompletion=choice("cmake", "android", "python", "deb"),
            help="cmake, android, python (a wheel) or deb.",
        ),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="The folder to write into.")],
    name: Annotated[str | None, typer.Option("--name", help="Of the package; default: the network's.")] = None,
    version: Annotated[
        str | None, typer.Option("--version", help="Of the package; default: of the clipfree that made the bundle.")
    ] = None,
    licence: Annotated[
        str | None, typer.Option("--license", help="Of the network, as in SPDX's list: MIT, CC-BY-NC-4.0.")
    ] = None,
    maintainer: Annotated[str, typer.Option("--maintainer", help='"NAME <MAIL>", for wheels and Debian.')] = "",
    as_json: Json = False,
) -> None:
    """Pack a network's library for CMake, Android, Python or Debian: no TVM, nothing to compile."""
    from toolchain.workflows.package import PackageRequest
    from toolchain.workflows.package import package as pack

    console = Console(as_json=as_json)
    files = pack(PackageRequest(tuple(bundles), kind, out, name, version, licence, maintainer))
    for path in files:
        console.say(f"{path.stat().st_size:9}  {path}")
    console.result(command="package", kind=kind, files=[{"path": path, "size": path.stat().st_size} for path in files])
