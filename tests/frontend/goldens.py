"""Before and after a pass, as text: nodes one a line, their constants written out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from textwrap import dedent
from typing import Any

import numpy as np
from onnx import helper, numpy_helper, parser

from toolchain.frontend.facts import Facts
from toolchain.frontend.graph import Array, Graph, attributes
from toolchain.frontend.passes.base import GraphPass
from toolchain.frontend.session import FloatSession
from toolchain.frontend.window import END

SHAPE = (1, 4, 12, 10)
NOTHING = Facts()
Pass = Callable[[Graph, Facts], Any]
Change = Callable[[Array], Array]


def graph_of(text: str, shape: tuple[int, ...] = SHAPE, **constants: Any) -> Graph:
    """A graph from ONNX's textual form: nodes between "input" and "output"; constants by name."""
    body = f"g (float[N, C, H, W] input) => (float[N, D, E, F] output) {{\n{dedent(text)}\n}}"
    proto = parser.parse_graph(body)
    proto.initializer.extend(numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items())
    return Graph(helper.make_model(proto, opset_imports=[helper.make_opsetid("", 17)]), shape)


def written(graph: Graph) -> str:
    """Nodes as ``result = Operator(operands, attributes)``; values are numbered, small constants written out."""
    names = {graph.input: "input", graph.output: "output"}
    lines = []
    for node in graph.nodes:
        operands = [_operand(graph, names, name) for name in node.input if name]
        words = [f"{key}={value}" for key, value in sorted(attributes(node).items())]
        results = [names.setdefault(name, f"v{len(lines)}") for name in node.output if name]
        lines.append(f"{', '.join(results)} = {node.op_type}({', '.join([*operands, *words])})")
    return "\n".join(lines)


def _operand(graph: Graph, names: dict[str, str], name: str) -> str:
    value = graph.constants.get(name)
    if value is None:
        return names[name]
    if value.size > 8:
        return f"weights{list(value.shape)}"
    numbers = ["end" if v == END else f"{v:g}" for v in value.ravel()]
    return "[" + " ".join(numbers) + "]"


def expect(
    apply: Pass,
    before: str,
    after: str,
    shape: tuple[int, ...] = SHAPE,
    facts: Facts = NOTHING,
    *,
    twice: bool = True,
    **constants: Any,
) -> Graph:
    """Run a pass on ``before`` and compare with ``after``; a second run changes nothing. Returns the graph."""
    graph = graph_of(before, shape, **constants)
    apply(graph, facts)
    assert written(graph) == dedent(after).strip(), written(graph)
    if twice:
        apply(graph, facts)
        assert written(graph) == dedent(after).strip(), "twice is not once"
    return graph


def same(values: Array) -> Array:
    """Both models take and give the same."""
    return values


def agrees(
    graph: Graph,
    before: str,
    shape: tuple[int, ...] = SHAPE,
    to_source: Change = same,
    from_source: Change = same,
    to_result: Change = same,
    from_result: Change = same,
    **constants: Any,
) -> None:
    """Both give the same numbers, where they are not told to take or give something else."""
    x = np.random.default_rng(0).normal(0.4, 0.5, shape).astype(np.float32)
    source = graph_of(before, shape, **constants).to_model(input_shape=shape, output_shape=None)
    result = graph.to_model(input_shape=graph.probe, output_shape=None)
    want = from_source(FloatSession(source).run(None, to_source(x))[0])
    got = from_result(FloatSession(result).run(None, to_result(x))[0])
    np.testing.assert_allclose(got, want, atol=1e-5)


@dataclass(frozen=True)
class Case:
    """A pass with a graph before and after it.

    ``to_source`` and the others make of noise what the graph before takes, and so on; ``twice``: it changes its own
    result no more.
    """

    apply: GraphPass
    before: str
    after: str
    constants: dict[str, Any] = field(default_factory=dict)
    facts: Facts = NOTHING
    shape: tuple[int, ...] = SHAPE
    to_source: Change = same
    from_source: Change = same
    to_result: Change = same
    from_result: Change = same
    twice: bool = True

    def check(self) -> None:
        """The graph after the pass is what it should be, and computes the same numbers."""
        graph = expect(self.apply, self.before, self.after, self.shape, self.facts, twice=self.twice, **self.constants)
        changes = (self.to_source, self.from_source, self.to_result, self.from_result)
        agrees(graph, self.before, self.shape, *changes, **self.constants)
