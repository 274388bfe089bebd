"""``clipfree targets``: what can be compiled for, and whether this machine has what it takes."""

from __future__ import annotations

from typing import Annotated

import typer

from toolchain.cli.completion import complete_target
from toolchain.cli.console import Console, Json, guarded
from toolchain.cli.examples import examples
from toolchain.support.errors import TargetError

app = typer.Typer(help="The devices that can be compiled for.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="The name of a target or device, or host.", autocompletion=complete_target)]


def list_(as_json: Json = False) -> None:
    """Name every target, and say which of them this machine can run."""
    from toolchain.support.cpu import this_cpu
    from toolchain.targets import devices_of, find_target, list_targets
    from toolchain.targets.linker import is_native

    console = Console(as_json=as_json)
    cpu = this_cpu()
    try:
        host = find_target("host", cpu=cpu).name
    except TargetError:
        host = ""
    rows = []
    for target in list_targets():
        runs = target.gpu is None and is_native(target.triple) and not target.missing_on(cpu)
        mark = "host" if target.name == host else "runs here" if runs else "OpenCL" if target.gpu else ""
        devices = devices_of(target.name)
        names = f"; {', '.join(devices)}" if devices else ""
        console.say(f"{target.name:20} {mark:10} {target.description}{names}")
        rows.append(
            {
                "name": target.name,
                "description": target.description,
                "devices": devices,
                "runs_here": runs,
                "host": target.name == host,
            }
        )
    console.say("A device's name, such as rpi5, stands for its target.")
    console.result(command="targets list", targets=rows)


def show(name: Name, as_json: Json = False) -> None:
    """Show one target in full, with what LLVM really enables for it."""
    from toolchain.backends import backend_for
    from toolchain.support.cpu import this_cpu
    from toolchain.targets import find_target
    from toolchain.targets.llvm import features

    console = Console(as_json=as_json)
    target = find_target(name)
    backend_for(target).check(target)
    console.say(f"{target.name}: {target.description}")
    if target.gpu is not None:
        gpu = target.gpu
        dots = "the driver's, if it has them" if gpu.integer_dot else "plain arithmetic"
        core = gpu.core
        console.say(f"  OpenCL work-groups of at most {gpu.largest_group} work-items, {core.warp} of them in step")
        console.say(
            f"  a core holds {core.items} work-items or {core.registers} registers, "
            f"{core.most_registers} of a work-item at most"
        )
        console.say(f"  dot products: {dots}")
        console.result(command="targets show", target=target)
        return
    missing, enabled = target.missing_on(this_cpu()), features(target)
    console.say(f"  LLVM triple {target.triple}, CPU {target.cpu}, attributes {' '.join(target.attributes) or 'none'}")
    console.say(
        f"  kernels {target.instruction_set}, for {target.cores} cores, line buffers of "
        f"{target.cache / 2**20:.3g} MB a thread"
    )
    console.say(f"  LLVM enables {' '.join(enabled)}")
    console.say(f"  needs {' '.join(target.requires)}")
    console.say(f"  lacking here: {' '.join(missing) or 'nothing'}")
    console.result(command="targets show", target=target, enabled=enabled, missing_here=missing)


def doctor(
    name: Annotated[str, typer.Argument(help="A target's name.", autocompletion=complete_target)] = "host",
    as_json: Json = False,
) -> None:
    """Find a linker for a target and try it, or an OpenCL device; say what to install if there is none."""
    from toolchain.backends import backend_for
    from toolchain.support.cpu import this_cpu
    from toolchain.targets import find_target, system
    from toolchain.targets.linker import find_c_compiler, find_linker, is_native

    console = Console(as_json=as_json)
    target = find_target(name)
    backend_for(target).check(target)
    if target.gpu is not None:
        unseen, compiler = backend_for(target).obstacle(target), None
        try:
            compiler = find_c_compiler(target.triple)
            host = f"with {' '.join(compiler.command)} (from {compiler.source})"
        except TargetError as error:
            host = f"left out: {error}"
        console.say(f"{target.name}: kernels in OpenCL C, which the device compiles")
        console.say(f"  the library that runs them there: {host}")
        console.say(f"  checked here on a CPU's OpenCL: {unseen or 'yes'}")
        console.result(
            command="targets doctor", target=target.name, linker=compiler and compiler.command, runs_here=unseen is None
        )
        return
    linker = find_linker(target.triple)
    made = linker.check(target) or f"a library of {system(target.triple)}"
    native, missing = is_native(target.triple), target.missing_on(this_cpu())
    console.say(f"{target.name}: linker {' '.join(linker.command)} (from {linker.source}) works")
    console.say(f"  it makes: {made}")
    runs = native and not missing
    if runs:
        console.say("  this machine runs what is made")
    elif native:
        console.say(f"  made here, but not run here: this CPU lacks {', '.join(missing)}")
    elif system(target.triple) != "Linux":
        console.say(f"  made here, but not run here: this machine runs no {system(target.triple)}")
    else:
        console.say(f"  made here, but not run here: this machine is {this_cpu().machine}")
    console.result(
        command="targets doctor",
        target=target.name,
        linker=linker.command,
        source=linker.source,
        elf=str(made),
        runs_here=runs,
    )


app.command("list", epilog=examples("targets list"))(guarded(list_))
app.command("show", epilog=examples("targets show"))(guarded(show))
app.command("doctor", epilog=examples("targets doctor"))(guarded(doctor))
