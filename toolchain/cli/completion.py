"""``clipfree completion``: what a shell needs to complete commands, options, targets, networks and bundles.

The words themselves are found here too, by looking at folders: nothing is imported for them that takes time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from toolchain.cli.console import Console, Json

VARIABLE = "_CLIPFREE_COMPLETE"
"""Environment variable by which the shell's script asks for words."""
_MODELS = (".onnx", ".nested", ".tflite", ".pt2", ".pth", ".safetensors")
_BUNDLE = ".clipfree"
_USUAL = "out"
"""Where bundles are made, if nothing else is said."""

_BASH = r"""
_clipfree_completion() {
    # What was typed, not COMP_WORDS: bash cuts zoo:NAME at its colon, and wants to be given what stands behind it.
    local line=${COMP_LINE:0:COMP_POINT} word before
    local -a words
    read -ra words <<< "$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    word=${words[${#words[@]} - 1]}
    before=${word%"${word##*:}"}
    [[ $COMP_WORDBREAKS == *:* ]] || before=
    local text="${words[*]}" count=$((${#words[@]} - 1))
    local IFS=$'\n'
    COMPREPLY=($(COMP_WORDS="$text" COMP_CWORD=$count _CLIPFREE_COMPLETE=complete_bash "$1" 2>/dev/null))
    COMPREPLY=("${COMPREPLY[@]#"$before"}")
    [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == */ ]] && compopt -o nospace
    return 0
}
complete -o default -F _clipfree_completion clipfree
""".strip()


class Shell(str, Enum):
    """Shells that words are completed for."""

    bash = "bash"
    zsh = "zsh"
    fish = "fish"


def completion(shell: Annotated[Shell, typer.Argument(help="The shell.")], as_json: Json = False) -> None:
    """Print a script for bash, zsh or fish that completes commands, options, targets, zoo:NAMES and bundles."""
    from typer._completion_shared import get_completion_script

    console = Console(as_json=as_json)
    script = _BASH
    if shell != Shell.bash:
        script = get_completion_script(prog_name="clipfree", complete_var=VARIABLE, shell=shell.value)
    console.say(script)
    console.result(command="completion", shell=shell.value, script=script)


def answer_shells() -> None:
    """Let typer answer, if a script of a shell asks for words: as it does where its own options print the script."""
    if VARIABLE not in os.environ:
        return
    from typer._completion_classes import completion_init

    completion_init()


def complete_target(incomplete: str) -> list[tuple[str, str]]:
    """Return targets and devices, and files that describe one, with what each is."""
    from toolchain.support.errors import TargetError
    from toolchain.targets import DEVICES, HOST, list_targets

    try:
        described = {target.name: target.description for target in list_targets()}
    except TargetError:
        described = {}
    names = {HOST: "this machine", **described}
    names |= {device: f"the same as {target}" for device, target in DEVICES.items()}
    return [(name, text) for name, text in names.items() if name.startswith(incomplete)] + _paths(
        incomplete, lambda path: path.suffix == ".toml", hidden=not incomplete
    )


def complete_model(incomplete: str) -> list[tuple[str, str]]:
    """Return embedded networks, and files of models."""
    from toolchain.zoo.embedded import PREFIX, list_models

    named = [(PREFIX + model.name, "embedded network") for model in list_models()]
    found = [(name, text) for name, text in named if name.startswith(incomplete)]
    return found + _paths(incomplete, lambda path: path.suffix in _MODELS)


def complete_network(incomplete: str) -> list[tuple[str, str]]:
    """Return models and bundles."""
    return complete_model(incomplete) + complete_bundle(incomplete)


def complete_zoo(incomplete: str) -> list[tuple[str, str]]:
    """Return names of embedded networks, with and without ``zoo:`` in front."""
    from toolchain.zoo.embedded import PREFIX, list_models

    ahead = PREFIX if incomplete.startswith(PREFIX) else ""
    return [
        (ahead + model.name, "embedded network")
        for model in list_models()
        if model.name.startswith(incomplete.removeprefix(PREFIX))
    ]


def complete_bundle(incomplete: str) -> list[tuple[str, str]]:
    """Return bundles, of the folder ``out`` too where nothing was typed yet, and folders that may hold some."""
    found = _paths(incomplete, lambda path: path.suffix == _BUNDLE)
    if not incomplete and Path(_USUAL).is_dir():
        found = _paths(f"{_USUAL}/", lambda path: path.suffix == _BUNDLE) + found
    return found


def choice(*words: str) -> Callable[[str], list[str]]:
    """Return what completes one of ``words``."""

    def complete(incomplete: str) -> list[str]:
        return [word for word in words if word.startswith(incomplete)]

    return complete


def _paths(incomplete: str, wanted: Callable[[Path], bool], *, hidden: bool = False) -> list[tuple[str, str]]:
    """Return what is ``wanted`` of what lies where ``incomplete`` points, and folders there, with a slash."""
    if hidden:
        return []
    ahead, _, begin = incomplete.rpartition("/")
    ahead = f"{ahead}/" if "/" in incomplete else ""

    def found() -> Iterator[tuple[str, str]]:
        for path in sorted(Path(ahead or ".").expanduser().iterdir()):
            if path.name.startswith(begin) and (begin or not path.name.startswith(".")):
                if wanted(path):
                    yield ahead + path.name, ""
                elif path.is_dir() and path.suffix != _BUNDLE:
                    yield f"{ahead}{path.name}/", ""

    try:
        return list(found())
    except OSError:
        return []
