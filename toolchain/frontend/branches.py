"""Control flow whose condition is known: the branch that runs stands in the place of the If."""

from __future__ import annotations

import onnx

from toolchain.frontend.graph import attributes, known_constants


def take_branches(model: onnx.ModelProto) -> int:
    """Replace every If with a constant condition by the operators of its branch, in place; returns how many there were.

    Names inside a branch are of its own in ONNX: those that it makes are made unique.
    """
    count = 0
    while (found := _first(model)) is not None:
        place, taken = found
        count += 1
        node = model.graph.node[place]
        names = {o: f"{o}@{count}" for inner in taken.node for o in inner.output if o}
        names |= {tensor.name: f"{tensor.name}@{count}" for tensor in taken.initializer}
        moved = []
        for inner in taken.node:
            copy = onnx.NodeProto()
            copy.CopyFrom(inner)
            copy.input[:] = [names.get(name, name) for name in inner.input]
            copy.output[:] = [names.get(name, name) for name in inner.output]
            moved.append(copy)
        for tensor in taken.initializer:
            model.graph.initializer.add().CopyFrom(tensor)
            model.graph.initializer[-1].name = names[tensor.name]
        ends = zip(taken.output, node.output, strict=False)
        moved += [onnx.helper.make_node("Identity", [names.get(e.name, e.name)], [name]) for e, name in ends if name]
        nodes = [*model.graph.node[:place], *moved, *model.graph.node[place + 1 :]]
        del model.graph.node[:]
        model.graph.node.extend(nodes)
    return count


def _first(model: onnx.ModelProto) -> tuple[int, onnx.GraphProto] | None:
    """Return the first If with a constant condition, and its branch; one that has control flow in it is left."""
    constants = known_constants(model)
    for place, node in enumerate(model.graph.node):
        if node.op_type != "If" or node.input[0] not in constants or constants[node.input[0]].size != 1:
            continue
        taken = attributes(node)["then_branch" if constants[node.input[0]].ravel()[0] else "else_branch"]
        if not any(a.HasField("g") or a.graphs for inner in taken.node for a in inner.attribute):
            return place, taken
    return None
