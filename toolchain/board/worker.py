"""The process that talks to a board for `toolchain.board.board`: ``python -m toolchain.board.worker``."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from toolchain.board.session import Session
from toolchain.process import answer

_ENTRY = "main"


class Talk:
    """The operations; a session is opened by the first, a library loaded by the second."""

    session: Session
    machine: Any

    def connect(self, request: dict[str, Any]) -> dict[str, Any]:
        """``host``, ``port``, ``key``, ``wait``: open a session; the board's address, and what it says of itself."""
        self.session, told = Session.open(request)
        return told

    def echo(self, request: dict[str, Any]) -> dict[str, Any]:
        """``size``: send so many bytes there and back; whether they came back whole, and the seconds of a call."""
        with self.session.guard():
            sent = np.random.default_rng(0).integers(0, 256, request["size"], dtype=np.uint8)
            whole = bool((self.session.tensor(sent).numpy() == sent).all())
            return {"whole": whole, "seconds": self.session.call_seconds()}

    def load(self, request: dict[str, Any]) -> dict[str, Any]:
        """``library``: a file to upload and load."""
        from tvm.runtime.vm import VirtualMachine

        with self.session.guard():
            self.machine = VirtualMachine(self.session.load(Path(request["library"])), self.session.device)
        return {}

    def run(self, request: dict[str, Any]) -> dict[str, Any]:
        """``input``, ``output``, ``threads``, ``cores``: run the network from one .npy file to another."""
        with self.session.guard():
            self._bind(np.load(request["input"], allow_pickle=False), request)
            self.machine.invoke_stateful(_ENTRY)
            np.save(request["output"], self.machine.get_outputs(_ENTRY).numpy())
        return {}

    def time(self, request: dict[str, Any]) -> dict[str, Any]:
        """``input``, ``threads``, ``cores``, ``repeats``, ``cool_down``: seconds of each run, by the board's clock."""
        with self.session.guard():
            self._bind(np.load(request["input"], allow_pickle=False), request)
            timer = self.machine.time_evaluator(
                "invoke_stateful", self.session.device, number=1, repeat=request["repeats"],
                cooldown_interval_ms=round(1000 * request["cool_down"]))  # fmt: skip
            return {"seconds": list(timer(_ENTRY).results)}

    def functions(self, request: dict[str, Any]) -> dict[str, Any]:
        """``input``, ``threads``, ``cores``, ``repeats``: seconds and calls of each function of the network."""
        with self.session.guard():
            self._bind(np.load(request["input"], allow_pickle=False), request)
            self.machine.set_instrument("clipfree.board.stopwatch")
            for _ in range(request["repeats"]):
                self.machine.invoke_stateful(_ENTRY)
            return {"laps": json.loads(self.session.laps())}

    def _bind(self, pixels: Any, request: dict[str, Any]) -> None:
        self.session.threads(request["threads"], request["cores"])
        self.machine.set_input(_ENTRY, self.session.tensor(pixels))


def main() -> None:
    """Answer the requests on stdin until it ends."""
    os.environ["TVM_USE_RUNTIME_LIB"] = "1"  # the compiler, 240 MB, is not needed here
    talk = Talk()
    answer({"connect": talk.connect, "echo": talk.echo, "load": talk.load, "run": talk.run, "time": talk.time,
            "functions": talk.functions})  # fmt: skip


if __name__ == "__main__":
    main()
