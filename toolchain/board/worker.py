"""The process that talks to a board for `toolchain.board.board`: ``python -m toolchain.board.worker``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from toolchain.board.networks import OnCpu, OnOpenCl, RemoteNetwork
from toolchain.board.session import BoardSession
from toolchain.support.worker import answer


class Talk:
    """The operations; a session is opened by the first, a library loaded by the second."""

    session: BoardSession
    network: RemoteNetwork

    def connect(self, request: dict[str, Any]) -> dict[str, Any]:
        """``host``, ``port``, ``key``, ``wait``: open a session; the board's address, and what it says of itself."""
        self.session, told = BoardSession.open(request)
        return told

    def echo(self, request: dict[str, Any]) -> dict[str, Any]:
        """``size``: send so many bytes there and back; whether they came back whole, and the seconds of a call."""
        with self.session.guard():
            sent = np.random.default_rng(0).integers(0, 256, request["size"], dtype=np.uint8)
            whole = bool((self.session.tensor(sent).numpy() == sent).all())
            return {"whole": whole, "seconds": self.session.call_seconds()}

    def load(self, request: dict[str, Any]) -> dict[str, Any]:
        """``library``: a file to upload and load."""
        with self.session.guard():
            self.network = OnCpu(self.session, self.session.load(Path(request["library"])))
        return {}

    def load_opencl(self, request: dict[str, Any]) -> dict[str, Any]:
        """``library``, ``kind``, ``scale``, ``kernels``: the same for an OpenCL device; its name."""
        with self.session.guard():
            library = self.session.load(Path(request["library"]))
            network = OnOpenCl(self.session, library, request["kind"], request["scale"], request["kernels"])
            self.network = network
            return {"device": network.device}

    def run(self, request: dict[str, Any]) -> dict[str, Any]:
        """``input``, ``output``, ``threads``, ``cores``: run the network from one .npy file to another."""
        with self.session.guard():
            self._bind(request)
            np.save(request["output"], self.network.run())
        return {}

    def time(self, request: dict[str, Any]) -> dict[str, Any]:
        """``input``, ``threads``, ``cores``, ``repeats``, ``cool_down``: seconds of each run, by the board's clock."""
        with self.session.guard():
            self._bind(request)
            return {"seconds": self.network.times(request["repeats"], request["cool_down"])}

    def functions(self, request: dict[str, Any]) -> dict[str, Any]:
        """``input``, ``threads``, ``cores``, ``repeats``: seconds of each function, mean of all runs."""
        with self.session.guard():
            self._bind(request)
            return {"seconds": self.network.functions(request["repeats"])}

    def _bind(self, request: dict[str, Any]) -> None:
        self.network.bind(np.load(request["input"], allow_pickle=False), request["threads"], request["cores"])


def main() -> None:
    """Answer the requests on stdin until it ends."""
    os.environ["TVM_USE_RUNTIME_LIB"] = "1"  # the compiler, 240 MB, is not needed here
    talk = Talk()
    answer(
        {
            "connect": talk.connect,
            "echo": talk.echo,
            "load": talk.load,
            "load_opencl": talk.load_opencl,
            "run": talk.run,
            "time": talk.time,
            "functions": talk.functions,
        }
    )


if __name__ == "__main__":
    main()
