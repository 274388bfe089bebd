"""A way to a board through ssh: RPC has no password, ssh has."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from toolchain.board.place import Address
from toolchain.support.errors import BoardError, InputError

LIMIT = 20.0
"""Seconds for ssh to get there."""


@contextmanager
def tunnel(login: str, far: Address) -> Iterator[Address]:
    """Yield an address here that leads to ``far`` as the host of ``login`` sees it, during the block.

    ``login`` is "user@host", also with options of ssh before it, as a shell would split them.

    Raises:
        InputError: ``login`` cannot be meant.
        BoardError: there is no ssh here, or it does not get there without asking for a password.
    """
    try:
        words = shlex.split(login)
    except ValueError:
        words = []
    if not words or words[-1].startswith("-"):
        raise InputError(
            f"--ssh {login} is not understood",
            hint="give USER@HOST, or ssh's own options before it: '-p 2222 -i KEYFILE USER@HOST'",
        )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        near = Address("127.0.0.1", probe.getsockname()[1])
    command = [
        "ssh",
        "-N",
        "-o",
        "BatchMode=yes",
        "-o",
        "ExitOnForwardFailure=yes",
        "-o",
        "ConnectTimeout=10",
        "-o",
        "ServerAliveInterval=10",
        "-L",
        f"{near}:{far}",
        *words,
    ]
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=errors, start_new_session=True)
        except OSError as error:
            raise BoardError("there is no ssh on this machine", hint="install openssh-client") from error
        try:
            end = time.monotonic() + LIMIT
            while not _answers(near):
                if process.poll() is not None or time.monotonic() > end:
                    raise BoardError(
                        f"ssh does not get to {words[-1]}: {_said(errors)[-1]}",
                        hint=f"does `ssh -o BatchMode=yes {login} true` work?",
                    )
                time.sleep(0.1)
            try:
                yield near
            except BoardError as error:
                # ssh answers itself, and hangs up when it finds nobody there.
                if any("open failed" in line for line in _said(errors)):
                    raise BoardError(
                        f"no board answers at {far} on {words[-1]}", hint="is `clipfree board serve` running there?"
                    ) from error
                raise
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
            process.wait()


def _said(errors: IO[bytes]) -> list[str]:
    """Return the lines that ssh has written so far, at least one."""
    errors.seek(0)
    return errors.read().decode(errors="replace").strip().splitlines() or ["no answer"]


def _answers(address: Address) -> bool:
    try:
        socket.create_connection((address.host, address.port), 1).close()
    except OSError:
        return False
    return True
