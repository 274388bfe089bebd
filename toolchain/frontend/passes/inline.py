"""Local functions are inlined and what has no part in inference is dropped.

After: no model functions, no initializer among the graph's inputs, every value named, only ai.onnx operators without
subgraphs.
"""

from __future__ import annotations

import onnx
from onnx import inliner

from toolchain.support.errors import ModelError


def apply(model: onnx.ModelProto) -> tuple[onnx.ModelProto, str]:
    """The model without functions; a copy, the argument stays as it is.

    Raises:
        ModelError: operators of other domains, or control flow.
    """
    count = len(model.functions)
    plain = inliner.inline_local_functions(model) if count else onnx.ModelProto.FromString(model.SerializeToString())
    graph = plain.graph
    names = {t.name for t in graph.initializer}
    inputs = [i for i in graph.input if i.name not in names]
    del graph.input[:]
    graph.input.extend(inputs)
    del graph.value_info[:], plain.metadata_props[:], plain.training_info[:]
    for node in graph.node:
        if node.domain not in ("", "ai.onnx"):
            raise ModelError(
                f"operator {node.op_type} of domain '{node.domain}' is not a standard ONNX operator",
                hint="export without vendor operators, or before a runtime has optimized the model",
            )
        if any(a.HasField("g") or a.graphs for a in node.attribute):
            raise ModelError(
                f"the model contains control flow ({node.op_type})",
                hint="export with constant conditions, or simplify it with onnxsim",
            )
        node.domain = ""
        node.name = node.name or next(iter(node.output), "")  # refusals name operators
    kept = [o for o in plain.opset_import if o.domain in ("", "ai.onnx")]
    if not kept:
        raise ModelError("the model names no version of the ONNX operator set", hint="export it again")
    version = kept[0].version
    del plain.opset_import[:]
    plain.opset_import.add(domain="", version=version)
    plain.ir_version = max(plain.ir_version, 4)
    return plain, f"inlined {count} local functions" if count else ""
