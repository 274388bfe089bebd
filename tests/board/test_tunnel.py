"""The way through ssh, with a stand-in for ssh that forwards, or fails as the real one does."""

from __future__ import annotations

import contextlib
import getpass
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.answers import document
from tests.boards import Running, listening
from toolchain.board.board import Board
from toolchain.board.place import Address, Place
from toolchain.board.tunnel import tunnel
from toolchain.bundle import Bundle
from toolchain.cli import main
from toolchain.support.errors import BoardError, InputError

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


@pytest.fixture
def real_ssh(tmp_path: Path) -> Iterator[str]:
    """What --ssh wants to hear, to get to this machine through a real server."""
    server = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if server is None or shutil.which("ssh") is None:
        pytest.skip("needs ssh and sshd: apt install openssh-client openssh-server")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where it shuts itself in
    for name in ("host", "key", "other"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = [
        f"HostKey={tmp_path / 'host'}",
        f"AuthorizedKeysFile={tmp_path / 'key.pub'}",
        "ListenAddress=127.0.0.1",
        "StrictModes=no",
        "UsePAM=no",
        "PidFile=none",
        "PasswordAuthentication=no",
    ]
    words = [word for setting in settings for word in ("-o", setting)]
    command = [server, "-D", "-e", "-f", "/dev/null", "-p", str(port), *words]
    with listening(command, tmp_path / "sshd.log", says=r"listening on (\S+) port (\d+)"):
        yield (
            f"-p {port} -F none -o UserKnownHostsFile={tmp_path / 'known'} -o StrictHostKeyChecking=accept-new "
            f"-o IdentitiesOnly=yes -i {tmp_path / 'key'} {getpass.getuser()}@127.0.0.1"
        )


def test_a_board_behind_real_ssh(real_ssh: str, board: Running, bundle: Bundle, capsys: pytest.CaptureFixture[str]):
    words = ["bench", str(bundle.path), "--rpc", str(board.address), "--ssh", real_ssh, "--size", "8x8", "--json"]
    assert main(words) == 0
    assert document(capsys)["rows"]
    assert main(["board", "check", "--rpc", "127.0.0.1:1", "--ssh", real_ssh]) == 11
    assert "no board answers at 127.0.0.1:1 on " in capsys.readouterr().err
    assert main([*words[:5], real_ssh.replace("/key ", "/other ")]) == 11
    assert re.search(r"ssh does not get to \S+@127.0.0.1: .*Permission denied", capsys.readouterr().err)
    assert not list(forwarding(real_ssh))


def test_ctrl_c_ends_real_ssh_too(real_ssh: str, board: Running):
    code = (
        f"import time; from toolchain.board.tunnel import tunnel; from toolchain.board.place import Address\n"
        f"with tunnel({real_ssh!r}, Address('127.0.0.1', {board.address.port})): print('in', flush=True); "
        "time.sleep(60)"
    )
    client = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert client.stdout is not None
    assert client.stdout.readline() == b"in\n"
    assert list(forwarding(real_ssh))
    client.send_signal(signal.SIGINT)
    client.wait(10)
    client.stdout.close()
    assert not list(forwarding(real_ssh))


def forwarding(login: str) -> Iterator[str]:
    """The processes of ssh that were started with these options."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_text().split("\0")
            if words[0] == "ssh" and login.split()[1] in words:
                yield path.parent.name


def test_no_ssh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BoardError, match="no ssh on this machine"), tunnel("me@pi", Address("127.0.0.1", 9090)):
        pass


def test_a_login_that_is_an_option():
    with pytest.raises(InputError, match="give USER@HOST"), tunnel("-oProxyCommand=x", Address("127.0.0.1", 9090)):
        pass
