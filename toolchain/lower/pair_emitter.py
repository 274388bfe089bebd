"""Kernels of sums, products and extremes of tensors, and of global pooling."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from toolchain.kernels import elementwise, global_pool
from toolchain.kernels.layout import PACK
from toolchain.kernels.spec import Combine, Elementwise, GlobalPool, View
from toolchain.lower.bindings import channels_of
from toolchain.lower.calls import Invocation
from toolchain.lower.packed import Packed
from toolchain.lower.pairs import is_single
from toolchain.lower.requantization import requantization
from toolchain.lower.weights import pad
from toolchain.reference.global_pool import fraction_bits, pool_multiplier
from toolchain.reference.products import product_multiplier
from toolchain.reference.steps import Codes, ExtremeStep, GlobalPoolStep, ProductStep, SumStep

if TYPE_CHECKING:
    from toolchain.lower.integer_emitter import IntegerEmitter

PairStep: TypeAlias = SumStep | ProductStep | ExtremeStep


def combined(emitter: IntegerEmitter, step: PairStep, view: View) -> Invocation:
    """Return the kernel of ``step``, into ``view``."""
    channels, output, single = channels_of(step.out.tensor), step.out.quantization, is_single(step.out.tensor)
    requantize, slopes = requantization(None, step.after, output, None)
    name, combine, terms = _combination(step)
    pairs = [emitter.term(term, channels, output) for term in terms]
    operands = [replace(operand, single=packed.tensor.single and not single) for operand, packed in pairs]
    if isinstance(step, ProductStep):
        factors = (1.0, float(product_multiplier(step)))
        operands = [replace(one, multiplier=factor) for one, factor in zip(operands, factors, strict=True)]
    operation = Elementwise(tuple(operands), requantize, view, combine)
    constants = () if slopes is None else (pad(slopes, view.count * PACK),)
    sources = tuple(packed.source() for _, packed in pairs)
    return Invocation(name, elementwise.build(operation, emitter.geometry, emitter.dot), sources, operation, constants)


def emit_pool(emitter: IntegerEmitter, var: Any, step: GlobalPoolStep) -> Packed:
    """Emit the tensor of a single pixel that pools a whole picture."""
    given, output, source = step.source.quantization, step.out.quantization, emitter.packed(step.source.tensor)
    # Blocks keep their places, whatever channels lie in them.
    tensor = replace(emitter.tensor(var), blocks=source.view.count * (2 if output.wide else 1))
    operation = GlobalPool(
        source.view,
        step.kind == "average",
        given.zero_point,
        fraction_bits(given),
        float(pool_multiplier(given, output)),
        requantization(None, step.after, output, None)[0],
        tensor.view,
    )
    origin = emitter.matcher.origin(emitter.matcher.definitions[var].args[0])
    functions = global_pool.pool_rows(operation, emitter.geometry), global_pool.pool_all(operation, emitter.geometry)
    row = source.view.count * PACK, global_pool.row_type(operation)
    made = emitter.calls.pool(
        source.source(), operation, functions, row, tensor, emitter.extent(step.source.tensor), origin
    )
    return Packed(made, tensor.view, source.slots, tensor)


def _combination(step: PairStep) -> tuple[str, Combine, tuple[Codes, ...]]:
    """Return what the kernel of ``step`` is called, how it combines, and what."""
    match step:
        case SumStep(terms=terms):
            return ("add" if len(terms) == 2 else "rescale"), "sum", terms
        case ProductStep(factors=factors):
            return "multiply", "product", factors
    return f"{step.kind}imum", step.kind, step.terms
