"""The commands of ``clipfree``, by name.

TVM, onnxruntime and NumPy are imported inside the commands, so that ``clipfree --help`` answers at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated

import typer

from toolchain import __version__
from toolchain.cli import (
    bench,
    board,
    compare,
    completion,
    demo,
    deploy,
    doctor,
    evaluate,
    fidelity,
    finetune,
    inspect,
    logs,
    nested,
    package,
    represent,
    run,
    targets,
    tune,
    verify,
    zoo,
)
from toolchain.cli.console import Console, guarded
from toolchain.cli.examples import examples
from toolchain.support.versions import versions

app = typer.Typer(
    name="clipfree",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_DEPLOY, _QUALITY, _SPEED = "Deploy and run", "Quality", "Speed"
_DEVICES, _INSTALLATION = "Devices and packages", "This installation"
_COMMANDS: Mapping[str, tuple[tuple[str, Callable[..., None]], ...]] = {
    _DEPLOY: (
        ("deploy", deploy.deploy),
        ("run", run.run),
        ("inspect", inspect.inspect),
        ("nested", nested.nested),
        ("demo", demo.demo),
    ),
    _QUALITY: (
        ("evaluate", evaluate.evaluate),
        ("verify", verify.verify),
        ("fidelity", fidelity.fidelity),
        ("represent", represent.represent),
        ("finetune", finetune.finetune),
    ),
    _SPEED: (("bench", bench.bench), ("compare", compare.compare), ("tune", tune.tune)),
    _DEVICES: (("package", package.package),),
    _INSTALLATION: (("doctor", doctor.doctor), ("completion", completion.completion)),
}
"""The heading in ``clipfree --help`` that each stands under."""

for _panel, _commands in _COMMANDS.items():
    for _name, _command in _commands:
        app.command(_name, rich_help_panel=_panel, epilog=examples(_name))(guarded(_command))
app.add_typer(logs.app, name="logs", rich_help_panel=_SPEED)
app.add_typer(targets.app, name="targets", rich_help_panel=_DEVICES)
app.add_typer(board.app, name="board", rich_help_panel=_DEVICES)
app.add_typer(zoo.app, name="zoo", rich_help_panel=_INSTALLATION)


def _version(context: typer.Context, wanted: bool) -> None:
    if not wanted:
        return
    console = Console(as_json=context.params["as_json"])
    console.say(f"clipfree {__version__}")
    console.result(command="version", **versions())
    raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, help="Print the version and stop.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", is_eager=True, help="With --version: what this installation is made of, as JSON.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Print a traceback with every error.")] = False,
) -> None:
    """Turn super-resolution networks into small, fast INT8 libraries, and run them."""
