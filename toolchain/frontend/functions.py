"""How large a model becomes when its functions are inlined: a few nested calls can ask for billions of nodes."""

from __future__ import annotations

import onnx

from toolchain.support.errors import ModelError

MAX_NODES = 100_000
"""The most nodes of a model without functions. The largest super-resolution networks have some thousands."""

_HINT = "is it a super-resolution network? if so, simplify it first, with onnxsim for instance"
_Key = tuple[str, str]


def check_size(model: onnx.ModelProto) -> None:
    """Count the nodes that inlining would make.

    Raises:
        ModelError: there are more than `MAX_NODES`, or a function calls itself.
    """
    bodies = {(function.domain, function.name): function for function in model.functions}
    sizes: dict[_Key, int] = {}
    begun: set[_Key] = set()
    stack: list[_Key] = list(bodies)
    while stack:
        key = stack[-1]
        calls = [call for node in bodies[key].node if (call := (node.domain, node.op_type)) in bodies]
        missing = [call for call in calls if call not in sizes]
        if key not in sizes and any(call in begun or call == key for call in missing):
            raise ModelError(f"the model's function '{key[1]}' calls itself", hint="export the network again")
        if missing:
            begun.add(key)
            stack.extend(dict.fromkeys(missing))
            continue
        stack.pop()
        begun.discard(key)
        sizes[key] = len(bodies[key].node) + sum(sizes[call] for call in calls)
    total = sum(sizes.get((node.domain, node.op_type), 1) for node in model.graph.node)
    if total > MAX_NODES:
        what = "with its functions written out" if model.functions else "at once"
        raise ModelError(f"the model has {total} operators {what}; {MAX_NODES} are the most", hint=_HINT)
