"""``clipfree zoo``: the networks that come with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toolchain.cli.completion import complete_zoo
from toolchain.cli.console import Console, Json, guarded
from toolchain.cli.examples import examples

app = typer.Typer(help="The embedded networks, used as zoo:NAME.", no_args_is_help=True)
Name = Annotated[
    str, typer.Argument(help="A network's name, with or without zoo: in front.", autocompletion=complete_zoo)
]


def list_(as_json: Json = False) -> None:
    """Name every embedded network and what it reaches."""
    from toolchain.zoo.embedded import list_models

    console = Console(as_json=as_json)
    models = list_models()
    for model in models:
        reached = ", ".join(
            f"{name} {value:.2f} dB" for name, value in model.card.get("psnr_y", {}).items() if name != "border"
        )
        console.say(f"zoo:{model.name:20} {model.path.stat().st_size / 1e3:6.0f} kB  {reached and 'Y PSNR ' + reached}")
    console.result(command="zoo list", models=[{"name": model.name, "card": model.card} for model in models])


def show(name: Name, as_json: Json = False) -> None:
    """Show the card of an embedded network: how it was trained, and what it reaches."""
    from toolchain.zoo.embedded import find

    console = Console(as_json=as_json)
    model = find(name)
    for key, value in model.card.items():
        console.say(f"{key}: {', '.join(map(str, value)) if isinstance(value, list) else value}")
    console.result(command="zoo show", name=model.name, card=model.card)


def export(
    name: Name,
    output: Annotated[Path, typer.Option("--output", "-o", help="The ONNX file to write, or a folder.")] = Path(),
    as_json: Json = False,
) -> None:
    """Copy an embedded network to an ONNX file of your own."""
    from toolchain.support.files import atomic_write
    from toolchain.zoo.embedded import find

    console = Console(as_json=as_json)
    model = find(name)
    path = output / model.path.name if output.is_dir() or not output.suffix else output
    with atomic_write(path) as file:
        file.write(model.path.read_bytes())
    console.say(str(path))
    console.result(command="zoo export", name=model.name, path=str(path))


app.command("list", epilog=examples("zoo list"))(guarded(list_))
app.command("show", epilog=examples("zoo show"))(guarded(show))
app.command("export", epilog=examples("zoo export"))(guarded(export))
