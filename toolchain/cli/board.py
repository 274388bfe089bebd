"""``clipfree board``: machines that run bundles over TVM's RPC."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolchain.cli.board_options import Rpc, Ssh, Tracker, Wait, reach
from toolchain.cli.completion import complete_target
from toolchain.cli.console import Console, Json, guarded
from toolchain.cli.examples import examples
from toolchain.cli.run import Bundle
from toolchain.support.errors import BoardError, InputError

if TYPE_CHECKING:
    from toolchain.board.describe import Description

app = typer.Typer(help="Run bundles and tune on other machines, over TVM's RPC.", no_args_is_help=True)

Listen = Annotated[
    str, typer.Option("--listen", help="Address to listen on. Anybody who reaches it can run any code there.")
]


@app.command("build", epilog=examples("board build"))
@guarded
def build(
    target: Annotated[
        str, typer.Option("--target", autocompletion=complete_target, help="See `clipfree targets list`.")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="The folder to make.")],
    libraries: Annotated[
        Path | None, typer.Option("--libraries", help="A folder with TVM's libraries for the board; default: pip's.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make the folder that a board needs to serve: copy it there and start clipfree-board, no Python needed."""
    from toolchain.board.pack import SERVER, build_pack
    from toolchain.support.files import check_writable
    from toolchain.targets import find_target

    console = Console(as_json=as_json)
    check_writable(out, folder=True)
    files = build_pack(find_target(target).triple, out, libraries)
    for path in files:
        console.say(f"{path.stat().st_size / 1e6:8.2f} MB  {path}")
    console.say(f"copy {out} to the board and start ./{SERVER} there; --help tells its options")
    console.result(command="board build", files=[{"path": path, "size": path.stat().st_size} for path in files])


@app.command("pack", epilog=examples("board pack"))
@guarded
def pack(
    bundle: Bundle,
    out: Annotated[Path, typer.Option("-o", "--out", help="The folder to make.")],
    as_json: Json = False,
) -> None:
    """Make a folder that checks and times a bundle on a device by itself: no TVM, no Python, no server."""
    from toolchain.board.standalone import PROGRAM, build_standalone
    from toolchain.bundle import open_bundle
    from toolchain.support.files import check_writable

    console = Console(as_json=as_json)
    check_writable(out, folder=True)
    files = build_standalone(open_bundle(bundle, for_this_machine=False), out)
    for path in files:
        console.say(f"{path.stat().st_size / 1e6:8.2f} MB  {path}")
    console.say(f"copy {out} to the device (scp, adb push) and start {PROGRAM} there; --help tells its options")
    console.result(command="board pack", files=[{"path": path, "size": path.stat().st_size} for path in files])


@app.command("serve", epilog=examples("board serve"))
@guarded
def serve(
    listen: Listen = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 lets the system choose.")] = 9090,
    tracker: Annotated[str | None, typer.Option("--tracker", help="HOST:PORT of a tracker to register at.")] = None,
    key: Annotated[str | None, typer.Option("--key", help="Name for the tracker.")] = None,
    address: Annotated[str | None, typer.Option("--address", help="What the tracker tells clients.")] = None,
    folder: Annotated[Path, typer.Option("--folder", help="For uploads.")] = Path("/tmp"),
    memory: Annotated[
        int | None, typer.Option("--memory", min=0, help="MB that a session may use; 0: no limit but 1 GB a packet.")
    ] = None,
) -> None:
    """Let this machine be a board, until interrupted."""
    from toolchain.board.pack import SERVER, cached_pack
    from toolchain.board.place import TRACKER_PORT, parse_address
    from toolchain.runtime.opencl.device import drivers_of_pip

    if (tracker is None) != (key is None):
        raise InputError("--tracker and --key belong together")
    words = ["--listen", listen, "--port", str(port), "--folder", str(folder)]
    if tracker is not None and key is not None:
        words += ["--tracker", str(parse_address(tracker, "--tracker", TRACKER_PORT)), "--key", key]
    words += ["--address", address] if address else []
    words += ["--memory", str(memory)] if memory is not None else []
    server = cached_pack() / SERVER
    os.execve(server, [str(server), *words], {**os.environ, **drivers_of_pip()})


@app.command("tracker", epilog=examples("board tracker"))
@guarded
def tracker(
    listen: Listen = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 lets the system choose.")] = 9190,
) -> None:
    """Keep track of boards for several users, until interrupted."""
    from toolchain.board.place import Address
    from toolchain.board.tracker import serve

    console, place = Console(as_json=False), Address(listen, port)
    if not place.is_loopback:
        console.note(
            f"WARNING: whoever can reach {place} can use the boards, and a board runs any code. Safer: listen "
            f"on this machine only, and `ssh -N -L {port}:127.0.0.1:{port}` to it"
        )
    os.environ["TVM_USE_RUNTIME_LIB"] = "1"
    serve(place, lambda where: console.note(f"tracker: listening on {where}"))


@app.command("list", epilog=examples("board list"))
@guarded
def list_boards(
    tracker: Annotated[str, typer.Option("--tracker", help="HOST:PORT.")] = "127.0.0.1:9190",
    as_json: Json = False,
) -> None:
    """List the boards of a tracker: free or busy, TVM's version, processor, best target; --json has all features."""
    from toolchain.board.place import TRACKER_PORT, parse_address
    from toolchain.board.tracker import entries
    from toolchain.targets import best_target

    console = Console(as_json=as_json)
    found = entries(parse_address(tracker, "--tracker", TRACKER_PORT))
    for entry in found:
        state = {None: "unknown", True: "busy", False: "free"}[entry.busy]
        about = "not a server of this clipfree"
        if entry.description is not None:
            cpu = entry.description.cpu
            tvm, best = entry.description.versions.tvm, best_target(cpu) or "none"
            about = f"TVM {tvm}, {cpu.cores} x {cpu.name}, best target {best}"
        console.say(f"{entry.key:16} {entry.address!s:22} {state:8} {about}")
    if not found:
        console.say("no boards")
    console.result(
        command="board list",
        boards=[
            {
                "key": entry.key,
                "address": str(entry.address),
                "busy": entry.busy,
                **(_plain(entry.description) if entry.description else {}),
            }
            for entry in found
        ],
    )


@app.command("check", epilog=examples("board check"))
@guarded
def check(
    key: Annotated[str | None, typer.Argument(help="A key of the tracker.")] = None,
    rpc: Rpc = None,
    tracker: Tracker = None,
    ssh: Ssh = None,
    wait: Wait = 10.0,
    as_json: Json = False,
) -> None:
    """See whether a board works: the connection, TVM's version, and which targets its processor can run."""
    from toolchain.board.board import Board
    from toolchain.targets import best_target, list_targets, machines

    console = Console(as_json=as_json)
    tracker = "127.0.0.1" if key is not None and tracker is None and rpc is None else tracker
    with reach(rpc, tracker, key, ssh) as place:
        if place is None:
            raise InputError("which board?", hint="give a key of the tracker, or --rpc HOST:PORT")
        with Board(place, wait=wait) as board:
            seconds = board.round_trip()
            description, where = board.description, board.address
    cpu = description.cpu
    fitting = [
        target.name
        for target in list_targets()
        if cpu.machine in machines(target.triple) and not target.missing_on(cpu)
    ]
    console.say(f"{where}: {cpu.name}, {cpu.cores} cores, {cpu.machine}")
    console.say(f"TVM {description.versions.tvm}, FFI {description.versions.tvm_ffi}, as here")
    console.say(f"a megabyte went there and came back whole; a call takes {1e3 * seconds:.1f} ms")
    heat = "" if description.celsius is None else f", {description.celsius:.0f} °C"
    console.say(f"{description.free / 1e6:.0f} MB free{heat}")
    best = best_target(cpu)
    console.say(f"targets it can run: {', '.join(fitting) or 'none'}; best: {best or 'none'}")
    console.result(
        command="board check", address=where, call_s=seconds, targets=fitting, best=best, **_plain(description)
    )
    if not fitting:
        raise BoardError(f"no target fits the processor of the board at {where}", hint="see `clipfree targets list`")


def _plain(description: Description) -> dict[str, object]:
    cpu = description.cpu
    return {
        "cpu": cpu.name,
        "machine": cpu.machine,
        "cores": cpu.cores,
        "features": sorted(cpu.features),
        "tvm": description.versions.tvm,
        "tvm_ffi": description.versions.tvm_ffi,
        "free_bytes": description.free,
        "celsius": description.celsius,
    }
