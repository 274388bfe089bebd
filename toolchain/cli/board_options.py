"""The options that name a board, for every command that can use one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolchain.support.errors import InputError

if TYPE_CHECKING:
    from toolchain.board.place import Place
    from toolchain.bundle import Bundle
    from toolchain.workflows.bench import Machine

Rpc = Annotated[str | None, typer.Option("--rpc", help="HOST:PORT of a board that runs `clipfree board serve`.")]
Tracker = Annotated[str | None, typer.Option("--tracker", help="HOST:PORT of a tracker, with --key.")]
Key = Annotated[str | None, typer.Option("--key", help="Which boards of the tracker.")]
Ssh = Annotated[
    str | None,
    typer.Option(
        "--ssh",
        help="USER@HOST: reach --rpc through ssh to there; 127.0.0.1 is then that host. Options of "
        "ssh may stand before it, in quotes.",
    ),
]
Wait = Annotated[float, typer.Option("--wait", min=0.0, max=86400.0, help="Seconds to wait for a board that is busy.")]

Device = Annotated[
    str | None,
    typer.Option(
        "--device",
        help="opencl-cpu or opencl-gpu, for OpenCL kernels; on a board not needed. Of several, "
        "one is named by a part of its name or its driver's: opencl-cpu:rusticl.",
    ),
]


@contextmanager
def reach(rpc: str | None, tracker: str | None, key: str | None, ssh: str | None) -> Iterator[Place | None]:
    """Yield where the board is that the options name, through an ssh tunnel if they ask for one; None: no board is
    named.

    Raises:
        InputError: the options do not fit together.
        BoardError: ssh does not get there.
    """
    from toolchain.board.place import Place, parse_place
    from toolchain.board.tunnel import tunnel

    place = parse_place(rpc, tracker, key)
    if ssh is None:
        yield place
        return
    if place is None or place.key:
        raise InputError("--ssh leads to one board, named by --rpc", hint="--rpc 127.0.0.1:9090 is one on that host")
    with tunnel(ssh, place.address) as address:
        yield Place(address)


@contextmanager
def machine_for(
    path: Path,
    place: Place | None,
    *,
    wait: float,
    threads: int | None = None,
    cpus: str | None = None,
    device: str | None = None,
) -> Iterator[tuple[Bundle, Machine]]:
    """Yield the opened bundle, and what runs it: this machine or the board at ``place``, or the OpenCL ``device``
    there.

    Raises:
        InputError: ``device`` does not go together with threads, or there are no such cores.
        BundleError: the bundle is damaged, or the machine cannot run it.
        TargetError: there is no such device, or it cannot run the kernels.
        BoardError: the board cannot be reached, or stays busy for ``wait`` seconds.
    """
    from toolchain.bundle import open_bundle
    from toolchain.workflows.bench import HostMachine, OnDevice

    if device is not None and threads is not None:
        raise InputError("an OpenCL device has no --threads", hint="leave them away")
    opened = open_bundle(path, for_this_machine=place is None and device is None)
    if place is None:
        yield opened, HostMachine(opened, threads, cpus) if device is None else OnDevice(opened, device)
        return
    from toolchain.board.board import Board

    with Board(place, wait=wait, threads=threads, cpus=cpus) as board:
        if opened.manifest.target.gpu is None and device is None:
            board.load(opened)
        else:
            board.load_opencl(opened, device)
        yield opened, board
