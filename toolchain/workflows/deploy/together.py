"""One network for several targets: each has a fate of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar

from toolchain.support.errors import ClipfreeError
from toolchain.workflows.deploy.order import Order, take_order
from toolchain.workflows.deploy.request import Request

if TYPE_CHECKING:
    import onnx

    from toolchain.frontend import SRModel

Done = TypeVar("Done")


@dataclass(frozen=True)
class Failed:
    """What did not come out, and why."""

    request: Request
    error: ClipfreeError


class NoneLeft(Exception):  # noqa: N818
    """No target is left that could be compiled for."""


class Together(Generic[Done]):
    """Requests, and what has become of them.

    Args:
        requests: that have all but their targets in common.
    """

    def __init__(self, requests: Sequence[Request]) -> None:
        self._requests = requests
        self._fates: dict[int, Done | Failed] = {}
        self._orders: dict[int, Order] = {}
        for index, request in enumerate(requests):
            self._try(index, partial(self._take, index, request))

    @property
    def fates(self) -> tuple[Done | Failed, ...]:
        """What became of each, in their order; to be asked when all have a fate."""
        return tuple(self._fates[index] for index in range(len(self._requests)))

    def need_one(self) -> None:
        """See that something is left to do.

        Raises:
            NoneLeft: all have failed already.
        """
        if not self._left():
            raise NoneLeft

    def rehearse(self, structure: onnx.ModelProto) -> None:
        """See which targets have kernels for an integer network, canonical QDQ.

        Raises:
            NoneLeft: none has.
        """
        self._each(lambda order: order.backend.rehearse(structure, order.target))

    def rehearse_floats(self, model: SRModel) -> None:
        """See the same for a float network.

        Raises:
            NoneLeft: none has.
        """
        self._each(lambda order: order.backend.rehearse_floats(model, order.target, order.request.precision))

    def finish(self, work: Callable[[Order], Done]) -> None:
        """Let ``work`` make what was asked for, target after target."""
        for index, order in self._left():

            def make(index: int = index, order: Order = order) -> None:
                self._fates[index] = work(order)

            self._try(index, make)

    def _each(self, work: Callable[[Order], object]) -> None:
        for index, order in self._left():
            self._try(index, partial(work, order))
        self.need_one()

    def _left(self) -> list[tuple[int, Order]]:
        return [(index, order) for index, order in self._orders.items() if index not in self._fates]

    def _take(self, index: int, request: Request) -> None:
        self._orders[index] = take_order(request)

    def _try(self, index: int, work: Callable[[], object]) -> None:
        try:
            work()
        except ClipfreeError as error:
            self._fates[index] = Failed(self._requests[index], error)
