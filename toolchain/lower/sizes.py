"""Whole factors for the sizes that the ONNX importer writes as products of floats.

``Resize`` by a factor of 2 arrives as ``Cast(int64, 2.0 * Cast(float32, height))``, which nothing can compare with the
``height * 2`` of a pixel shuffle, so that a sum of both has no known shape.
"""

from __future__ import annotations

from typing import Any

from tvm import relax
from tvm.relax.expr_functor import PyExprMutator, mutator

from toolchain.lower.movement import evaluate

_PROBES = (48, 52)


def whole_sizes(module: Any) -> Any:
    """The imported module with ``resize2d`` to whole multiples of the picture's size wherever it is that."""
    function = module["main"]
    shape = function.params[0].ty.shape
    rewriter = _Rewriter(module, (shape[2], shape[3]))
    module.update_func(module.get_global_var("main"), rewriter.visit_expr(function))
    return module


@mutator
class _Rewriter(PyExprMutator):  # type: ignore[misc]
    def __init__(self, module: Any, base: tuple[Any, Any]) -> None:
        super().__init__(module)
        self.base = base

    def visit_call_(self, call: Any) -> Any:
        call = super().visit_call_(call)
        if getattr(call.op, "name", "") != "relax.image.resize2d" or not isinstance(call.args[1], relax.ShapeExpr):
            return call
        sizes = [self._whole(size, base) for size, base in zip(call.args[1].values, self.base, strict=True)]
        return relax.Call(call.op, [call.args[0], relax.ShapeExpr(sizes), *call.args[2:]], call.attrs, call.ty_args)

    def _whole(self, size: Any, base: Any) -> Any:
        """``base * factor`` if ``size`` is that; else ``size``."""
        found = [evaluate(size, dict.fromkeys(self.base, probe)) for probe in _PROBES]
        factor = found[0] // _PROBES[0]
        return base * factor if factor and all(f == factor * p for f, p in zip(found, _PROBES, strict=True)) else size
