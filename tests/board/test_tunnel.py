"""The way through ssh, with a stand-in for ssh that forwards, or fails as the real one does."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.boards import Running
from toolchain.board.board import Board
from toolchain.board.place import Address, Place
from toolchain.board.tunnel import tunnel
from toolchain.errors import BoardError, InputError

# Understands `ssh ... -L near:port:far:port login`.
SSH = f"""#!{sys.executable}
import os, socket, sys, threading
words = sys.argv[1:]
open(os.environ["SSH_LOG"], "w").write(f"{{os.getpid()}} {{' '.join(words)}}")
if words[-1] == "nobody@host":
    print("Warning: something", "nobody@host: Permission denied (publickey).", sep="\\n", file=sys.stderr)
    sys.exit(255)
near, port, far, goal = words[words.index("-L") + 1].split(":")

def pump(a, b):
    try:
        while data := a.recv(65536):
            b.sendall(data)
        b.shutdown(socket.SHUT_WR)
    except OSError:
        pass

listener = socket.create_server((near, int(port)))
while True:
    one, other = listener.accept()[0], socket.create_connection((far, int(goal)))
    for pair in ((one, other), (other, one)):
        threading.Thread(target=pump, args=pair, daemon=True).start()
"""


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(SSH)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("SSH_LOG", str(tmp_path / "ssh.log"))
    return tmp_path / "ssh.log"


def test_a_board_behind_ssh(ssh: Path, board: Running):
    with tunnel("me@pi", board.address) as near, Board(Place(near)) as there:
        assert near != board.address
        assert there.round_trip() < 1
        process, _, words = ssh.read_text().partition(" ")
        assert "BatchMode=yes" in words
        assert words.endswith("me@pi")
    assert not Path(f"/proc/{process}").exists()


def test_ssh_that_does_not_get_there(ssh: Path):
    with (
        pytest.raises(BoardError, match=r"does not get to nobody@host: .*Permission denied \(publickey\)\.; does `ssh"),
        tunnel("nobody@host", Address("127.0.0.1", 9090)),
    ):
        pass


def test_no_ssh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BoardError, match="no ssh on this machine"), tunnel("me@pi", Address("127.0.0.1", 9090)):
        pass


def test_a_login_that_is_an_option():
    with pytest.raises(InputError, match="give USER@HOST"), tunnel("-oProxyCommand=x", Address("127.0.0.1", 9090)):
        pass
