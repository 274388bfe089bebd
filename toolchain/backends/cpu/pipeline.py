"""The passes from a lowered network to the virtual machine's instructions, in order.

TVM's default pipeline is not taken: it looks for reshapes and fuses where our kernels are to stay as they are. What
comes before, import, lowering, streaming and scheduling, is in `toolchain.backends.cpu.build`; what comes after, from
TIR to machine code, is TVM's own.
"""

from __future__ import annotations

import tvm
from tvm.relax import transform

from toolchain.backends.cpu.passes.order_shapes import order_shapes
from toolchain.backends.cpu.passes.promise_no_alias import promise_no_alias

PLAN = tvm.transform.Sequential(
    [
        # Relax operators that have no kernel of ours become TIR functions.
        transform.LegalizeOps(),
        # Calls have outputs in place of results, and tensors their storage.
        transform.ToNonDataflow(),
        transform.RemovePurityChecking(),
        transform.CallTIRRewrite(),
        # Several results of a call are what they are, not parts of a tuple.
        transform.CanonicalizeBindings(),
        # Tensors share storage as their lives allow: what a call needs is known from here on.
        transform.StaticPlanBlockMemory(),
    ],
    name="plan",
)
"""Operators become loops, tensors get their storage."""

FINISH = tvm.transform.Sequential(
    [
        # Storage is given back after its last use.
        transform.LowerAllocTensor(),
        transform.KillAfterLastUse(),
        # What is left of Relax becomes calls of the virtual machine; sizes are computed by a TIR function.
        transform.LowerRuntimeBuiltin(),
        transform.ComputePrimValue(),
        transform.VMShapeLower(),
        transform.AttachGlobalSymbol(),
        # Equal networks give equal libraries, and one function without a mark does not slow down all.
        order_shapes,
        promise_no_alias,
    ],
    name="finish",
)
"""The rest of the way to the virtual machine's instructions."""
