"""From a network that another tool quantized to the canonical form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import onnx

from toolchain.frontend import normalize
from toolchain.frontend.nested_file import stated_bits
from toolchain.frontend.packed import unpack
from toolchain.quantize.describe import describe
from toolchain.quantize.foreign.dequantizer import Dequantizer
from toolchain.quantize.foreign.ends import find_doubts, find_ends
from toolchain.quantize.foreign.findings import Findings
from toolchain.quantize.foreign.last import round_last
from toolchain.quantize.foreign.limits import name_white
from toolchain.quantize.foreign.measured import measure
from toolchain.quantize.foreign.qoperators import spell_out
from toolchain.quantize.foreign.shifted import shift_weights
from toolchain.quantize.foreign.taken_over import range_of, weights_of
from toolchain.quantize.packing import stored_codes
from toolchain.quantize.plan import make_plan
from toolchain.quantize.qdq import pixel_quantization, write_qdq
from toolchain.quantize.quantized import QuantizedModel
from toolchain.quantize.recipe import Recipe
from toolchain.reference.bounds import PAIR_LIMIT, find_bounds
from toolchain.reference.graph import GraphView
from toolchain.reference.quantization import Quantization
from toolchain.support.dump import Dump, no_dump
from toolchain.support.wording import name_some


def canonicalize(
    model: onnx.ModelProto,
    *,
    value_range: str | None = None,
    name: str | None = None,
    keep_rounding: bool = False,
    dump: Dump = no_dump,
) -> QuantizedModel:
    """Bring a QDQ ``model`` of any tool to the canonical form.

    Args:
        model: as loaded; not changed.
        value_range: as `normalize` takes it; None: by the input's range in the file, and how the network behaves.
        name: what to call it; by default the graph's own name.
        keep_rounding: round every tensor that the file rounds, as its own runtime does. By default one kernel goes on
            with what it has: a sum is added to a convolution's result before that is rounded and saturated.
        dump: where the float model is written as it is after each pass.

    Raises:
        ModelError: operators whose ranges each picture decides, other numbers of bits, activations per channel, or what
            ``normalize`` refuses.
    """
    unpacked = onnx.ModelProto.FromString(model.SerializeToString())
    packed = unpack(unpacked)
    dequantizer = Dequantizer(spell_out(unpacked))
    plain, found = dequantizer.run(), dequantizer.found
    dump("dequantized", ".onnx", plain.SerializeToString)
    said = value_range or find_ends(plain, found)
    name_white(plain, said)
    sr = normalize(plain, value_range=said, likely="0..1", name=name, dump=dump)
    if keep_rounding:
        sr = round_last(sr, found)
    sr, touched = shift_weights(sr, found)
    shifted = sum(name.endswith("_centred") for name in touched)
    plan = make_plan(sr, rounded=tuple(found.ranges) if keep_rounding else ())
    pixels = pixel_quantization(sr.value_range)
    view = GraphView(sr.model)
    quantizations = dict.fromkeys(plan.pinned, pixels)
    groups = dict.fromkeys(plan.group[point] for point in plan.points)
    said_of = {group: range_of(plan, group, view, found) for group in groups if group not in quantizations}
    quantizations.update({group: one for group, one in said_of.items() if one is not None})
    unsaid = [group for group, one in said_of.items() if one is None]
    if unsaid:
        quantizations.update(measure(sr, plan, unsaid))
    weights, biases, changed = weights_of(plan, view, quantizations, found)
    bits = stated_bits(model)
    if packed or bits:
        weights = {output: replace(one, among=stored_codes(one.codes, bits)) for output, one in weights.items()}
    written = write_qdq(sr, plan, quantizations, weights, biases)
    changes = (*sr.changes, *_changes(found, pixels, changed, len(weights) - shifted, shifted))
    if packed:
        changes = (*changes, f"{packed} weights are stored in 4 bits or fewer")
    tensors = describe(plan, quantizations, {}, weights, biases, source="file")
    warnings = (
        *_measured([group for group in unsaid if group not in plan.exact and group not in touched]),
        *find_doubts(found, said, sr.changes),
        *_unsafe(written),
    )
    recipe = Recipe(model=sr.name, settings={}, tensors=tensors, changes=changes, warnings=warnings)
    return QuantizedModel(written, recipe, sr.name, sr.channels, sr.scale, sr.value_range, sr.clip, sr.halo)


def _changes(found: Findings, pixels: Quantization, changed: int, weights: int, shifted: int) -> tuple[str, ...]:
    notes = []
    if any(given != pixels for given in found.inputs):
        notes.append("the input is quantized as pixels, not by the range in the file")
    if shifted:
        notes.append(
            f"the weights of {shifted} of {weights} convolutions have no sign: their codes were shifted, and what that "
            "takes away is added as one more channel"
        )
    if found.fine:
        notes.append(
            f"{found.fine} convolutions have weights of 16 bits in the file: they were rounded to 8, which is all that "
            "kernels multiply by; deploying the float model with photographs chooses 8 bits that lose less"
        )
    if changed > found.fine:
        notes.append(f"the weights of {changed} of {weights} convolutions were rounded again")
    return tuple(notes)


def _measured(unsaid: Sequence[str]) -> tuple[str, ...]:
    """Say what the file said nothing of."""
    if not unsaid:
        return ()
    return (
        f"the file leaves {name_some(unsaid)} in float: kept at 16 bits, with ranges from made pictures; deploying the "
        "float model with photographs is faster",
    )


def _unsafe(written: onnx.ModelProto) -> tuple[str, ...]:
    """Say that other runtimes may saturate, where they may."""
    found = find_bounds(written).accumulators
    unsafe = sum(one.pair >= PAIR_LIMIT for one in found)
    if not unsafe:
        return ()
    return (
        f"the weights of {unsafe} of {len(found)} convolutions are too large in pairs for 16 bits: on x86 without "
        "VNNI onnxruntime and OpenVINO give another picture than the bundle; deploying the float model avoids it",
    )
