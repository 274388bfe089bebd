"""The commands of ``clipfree``, by name.

TVM, onnxruntime and NumPy are imported inside the commands, so that ``clipfree --help`` answers at once.
"""

from __future__ import annotations

from typing import Annotated

import typer

from toolchain import __version__
from toolchain.cli import (
    bench,
    board,
    demo,
    deploy,
    evaluate,
    fidelity,
    inspect,
    logs,
    package,
    represent,
    run,
    targets,
    tune,
    verify,
    zoo,
)
from toolchain.cli.console import guarded

app = typer.Typer(
    name="clipfree",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("deploy")(guarded(deploy.deploy))
app.command("run")(guarded(run.run))
app.command("evaluate")(guarded(evaluate.evaluate))
app.command("bench")(guarded(bench.bench))
app.command("package")(guarded(package.package))
app.command("verify")(guarded(verify.verify))
app.command("inspect")(guarded(inspect.inspect))
app.command("fidelity")(guarded(fidelity.fidelity))
app.command("represent")(guarded(represent.represent))
app.command("demo")(guarded(demo.demo))
app.command("tune")(guarded(tune.tune))
app.add_typer(targets.app, name="targets")
app.add_typer(board.app, name="board")
app.add_typer(zoo.app, name="zoo")
app.add_typer(logs.app, name="logs")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"clipfree {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Print a traceback with every error.")] = False,
) -> None:
    """INT8 deployment of mobile super-resolution networks on Apache TVM, without the clip."""
