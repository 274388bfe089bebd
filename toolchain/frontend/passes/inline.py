"""Local functions are inlined, branches of constant conditions taken, and what has no part in inference is dropped.

After: no model functions, no initializer among the graph's inputs, every value named, only ai.onnx operators without
subgraphs.
"""

from __future__ import annotations

import onnx
from onnx import inliner

from toolchain.frontend.branches import take_branches
from toolchain.frontend.facts import Facts
from toolchain.frontend.passes.base import model_pass
from toolchain.frontend.properties import NO_FUNCTIONS, NO_SPARE_INPUTS
from toolchain.frontend.unfit import check_fit
from toolchain.support.errors import ModelError


@model_pass(ensures=(NO_FUNCTIONS, NO_SPARE_INPUTS))
def apply(model: onnx.ModelProto, facts: Facts) -> Facts:
    """Inline; says how many functions.

    Raises:
        ModelError: operators of other domains, control flow, or what has no place in such a network.
    """
    count = len(model.functions)
    if count:
        model.CopyFrom(inliner.inline_local_functions(model))
    branches = take_branches(model)
    graph = model.graph
    names = {t.name for t in graph.initializer}
    inputs = [i for i in graph.input if i.name not in names]
    del graph.input[:]
    graph.input.extend(inputs)
    del graph.value_info[:], model.metadata_props[:], model.training_info[:]
    for node in graph.node:
        if node.domain not in ("", "ai.onnx"):
            raise ModelError(
                f"operator {node.op_type} of domain '{node.domain}' is not a standard ONNX operator",
                hint="export without vendor operators, or before a runtime has optimized the model",
            )
        check_fit(node)
        node.domain = ""
        node.name = node.name or next(iter(node.output), "")  # refusals name operators
    kept = [o for o in model.opset_import if o.domain in ("", "ai.onnx")]
    if not kept:
        raise ModelError("the model names no version of the ONNX operator set", hint="export it again")
    version = kept[0].version
    del model.opset_import[:]
    model.opset_import.add(domain="", version=version)
    model.ir_version = max(model.ir_version, 4)
    facts = facts.said(f"took the only branch of {branches} conditions that are constant" if branches else "")
    return facts.said(f"inlined {count} local functions" if count else "")
