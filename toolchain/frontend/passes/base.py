"""What a pass is: one function that rewrites a network in place, with what must hold before it and what holds after.

There are two kinds with one signature: passes on whole ONNX models, while functions and foreign operator sets are still
about, and passes on a `Graph` of opset 17. What they find out is handed on in `Facts`. Properties are checked by the
tests, after every pass, not while networks are deployed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

import onnx

from toolchain.frontend.facts import Facts
from toolchain.frontend.graph import Graph

Subject = TypeVar("Subject", onnx.ModelProto, Graph)


@dataclass(frozen=True, eq=False)
class Property(Generic[Subject]):
    """Something that is true of a network or not.

    Attributes:
        says: what is true, as a clause.
        holds: whether it is.
    """

    says: str
    holds: Callable[[Subject], bool]

    def __str__(self) -> str:
        return self.says


@dataclass(frozen=True, eq=False)
class Pass(Generic[Subject]):
    """A step of normalization.

    Attributes:
        name: of its file.
        does: the first line of its file.
        rewrite: its function.
        requires: what must hold before it, and is ensured by an earlier pass.
        ensures: what holds after it, and from then on.
    """

    name: str
    does: str
    rewrite: Callable[[Subject, Facts], Facts]
    requires: tuple[Property[Subject], ...]
    ensures: tuple[Property[Subject], ...]

    def __call__(self, subject: Subject, facts: Facts | None = None) -> Facts:
        """Rewrite ``subject`` in place; returns ``facts`` with what was found out.

        Raises:
            ModelError: the network cannot be used.
        """
        return self.rewrite(subject, facts or Facts())


ModelPass: TypeAlias = Pass[onnx.ModelProto]
GraphPass: TypeAlias = Pass[Graph]
Apply: TypeAlias = Callable[[Subject, Facts], Facts]


def model_pass(
    *, requires: tuple[Property[onnx.ModelProto], ...] = (), ensures: tuple[Property[onnx.ModelProto], ...] = ()
) -> Callable[[Apply[onnx.ModelProto]], ModelPass]:
    """Make a pass on ONNX models of a function, named after its file."""
    return lambda function: Pass(*_named(function), function, requires, ensures)


def graph_pass(
    *, requires: tuple[Property[Graph], ...] = (), ensures: tuple[Property[Graph], ...] = ()
) -> Callable[[Apply[Graph]], GraphPass]:
    """Make a pass on graphs of a function, named after its file."""
    return lambda function: Pass(*_named(function), function, requires, ensures)


def _named(function: Callable[..., Facts]) -> tuple[str, str]:
    text = str(function.__globals__.get("__doc__") or "")
    return function.__module__.rpartition(".")[2], text.strip().partition("\n")[0]
