"""Hook of MkDocs: pages that are made of the code, and the lists of pages that a folder stands for in ``nav``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from typer.cli import get_docs_for_click

import clipfree
from toolchain.cli.app import app
from toolchain.targets import Target, devices_of, list_targets

COMMANDS = "reference/commands/"
DECISIONS = "decisions/"
EXAMPLES = re.compile(r"^(Examples?):\n\n((?:[^#*\n].*\n+)+)", re.MULTILINE)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages of the commands and the decisions in the place of their folders."""
    records = sorted(path.name for path in Path(config.docs_dir, DECISIONS).glob("[0-9]*.md"))
    pages: dict[str, list[Any]] = {
        COMMANDS: [{"Overview": f"{COMMANDS}index.md"}, *(f"{COMMANDS}{name}.md" for name, _ in _commands())],
        DECISIONS: [{"Overview": f"{DECISIONS}README.md"}, *(f"{DECISIONS}{name}" for name in records)],
    }
    config.nav = _filled(config.nav, pages)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the commands, the Python names and the targets."""
    names = dict(_commands())
    made = {f"{COMMANDS}{name}.md": text for name, text in names.items()}
    made[f"{COMMANDS}index.md"] = _overview(names)
    made["reference/python.md"] = _python()
    made["reference/targets.md"] = _targets()
    for place, text in made.items():
        files.append(File.generated(config, place, content=text))
    return files


def _filled(nav: Any, pages: dict[str, list[Any]]) -> Any:
    if isinstance(nav, str):
        return pages.get(nav, nav)
    if isinstance(nav, dict):
        return {title: _filled(part, pages) for title, part in nav.items()}
    return [_filled(part, pages) for part in nav]


def _commands() -> Iterator[tuple[str, str]]:
    """Each command's name and its page, as ``typer utils docs`` writes it."""
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    context = typer.Context(group, info_name="clipfree")
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if not command.hidden:
            page = get_docs_for_click(obj=command, ctx=context, call_prefix="clipfree")
            yield name, EXAMPLES.sub(_examples, page)


def _examples(found: re.Match[str]) -> str:
    """Return a help's examples, which are paragraphs there, as a block that can be copied."""
    lines = [line.replace(r"\[", "[") for line in found[2].split("\n") if line]
    return "\n".join([f"**{found[1]}**:", "", "```sh", *lines, "```", "", ""])


def _overview(names: dict[str, str]) -> str:
    rows = []
    for name, text in names.items():
        says = next((line for line in text.splitlines()[1:] if line and not line.startswith(("*", "`"))), "")
        rows.append(f"| [`clipfree {name}`]({name}.md) | {says} |")
    return (
        "# Commands\n\nMade from what `clipfree COMMAND --help` says. `--json` prints one JSON document, "
        "`clipfree --debug COMMAND` a traceback with every error.\n\n| | |\n|---|---|\n" + "\n".join(rows) + "\n"
    )


def _python() -> str:
    names = [name for name in clipfree.__all__ if not name.startswith("_")]
    errors = [name for name in names if name.endswith("Error")]
    order = [*(name for name in names if name not in errors), *errors]
    return "# Python, name by name\n\n[How they are used](../python.md).\n\n" + "\n".join(
        f"::: clipfree.{name}\n" for name in order
    )


def _targets() -> str:
    rows = [_target(target) for target in list_targets()]
    return (
        "# Targets\n\nA device's name stands for its target: `clipfree deploy model.onnx --target rpi5`. "
        "[A target of your own](../own-target.md).\n\n"
        "| target | for | devices | processor | instructions |\n|---|---|---|---|---|\n" + "\n".join(rows) + "\n"
    )


def _target(target: Target) -> str:
    devices = ", ".join(f"`{name}`" for name in devices_of(target.name))
    says = target.description.replace("|", "\\|")
    processor = "" if target.gpu else f"`{target.cpu}`"
    return f"| `{target.name}` | {says} | {devices} | {processor} | `{target.instruction_set}` |"
