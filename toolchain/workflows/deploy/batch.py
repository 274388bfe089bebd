"""One network for several targets: each fails or comes out on its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar

from toolchain.support.errors import ClipfreeError
from toolchain.workflows.deploy.request import Request
from toolchain.workflows.deploy.target_build import TargetBuild, plan_build

if TYPE_CHECKING:
    import onnx

    from toolchain.frontend import SRModel

Done = TypeVar("Done")


@dataclass(frozen=True)
class Failed:
    """What did not come out, and why."""

    request: Request
    error: ClipfreeError


class AllFailed(Exception):  # noqa: N818
    """No target is left that could be compiled for."""


class Batch(Generic[Done]):
    """Requests, and what has become of them.

    Args:
        requests: that have all but their targets in common.
    """

    def __init__(self, requests: Sequence[Request]) -> None:
        self._requests = requests
        self._outcomes: dict[int, Done | Failed] = {}
        self._builds: dict[int, TargetBuild] = {}
        for index, request in enumerate(requests):
            self._try(index, partial(self._take, index, request))

    @property
    def outcomes(self) -> tuple[Done | Failed, ...]:
        """What became of each, in the order of the requests; to be asked when all are done."""
        return tuple(self._outcomes[index] for index in range(len(self._requests)))

    def need_one(self) -> None:
        """See that something is left to do.

        Raises:
            AllFailed: all have failed already.
        """
        if not self._left():
            raise AllFailed

    def rehearse(self, structure: onnx.ModelProto) -> None:
        """See which targets have kernels for an integer network, canonical QDQ.

        Raises:
            AllFailed: none has.
        """
        self._each(lambda build: build.backend.rehearse(structure, build.target))

    def rehearse_floats(self, model: SRModel) -> None:
        """See the same for a float network.

        Raises:
            AllFailed: none has.
        """
        self._each(lambda build: build.backend.rehearse_floats(model, build.target, build.request.precision))

    def finish(self, work: Callable[[TargetBuild], Done]) -> None:
        """Let ``work`` make what was asked for, target after target."""
        for index, build in self._left():

            def make(index: int = index, build: TargetBuild = build) -> None:
                self._outcomes[index] = work(build)

            self._try(index, make)

    def _each(self, work: Callable[[TargetBuild], object]) -> None:
        for index, build in self._left():
            self._try(index, partial(work, build))
        self.need_one()

    def _left(self) -> list[tuple[int, TargetBuild]]:
        return [(index, build) for index, build in self._builds.items() if index not in self._outcomes]

    def _take(self, index: int, request: Request) -> None:
        self._builds[index] = plan_build(request)

    def _try(self, index: int, work: Callable[[], object]) -> None:
        try:
            work()
        except ClipfreeError as error:
            self._outcomes[index] = Failed(self._requests[index], error)
