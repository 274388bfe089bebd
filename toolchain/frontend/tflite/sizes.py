"""Enlarging and shrinking, and the arithmetic of sizes that dynamic networks do."""

from __future__ import annotations

from typing import Final

import numpy as np

from toolchain.frontend.tflite.contents import Operator
from toolchain.frontend.tflite.emitter import TO_LAST, Emitter
from toolchain.support.errors import ModelError


def _resize(emitter: Emitter, operator: Operator) -> None:
    bilinear = operator.kind == "RESIZE_BILINEAR"
    corners, half = operator.options["AlignCorners"], operator.options["HalfPixelCenters"]
    settings = {
        "mode": "linear" if bilinear else "nearest",
        "coordinate_transformation_mode": "align_corners" if corners else "half_pixel" if half else "asymmetric",
    }
    if not bilinear:
        settings["nearest_mode"] = "round_prefer_ceil" if corners or half else "floor"
    source, target = emitter.read(operator.read(0)), emitter.tensor(operator.output)
    emitter.write(
        operator.output, emitter.add("Resize", [source, *_factor(emitter, operator)], target.name, **settings)
    )


def _factor(emitter: Emitter, operator: Operator) -> list[str]:
    """Return Resize's inputs after the first: factors where sizes are known, which hold for any picture; else sizes."""
    given = emitter.tensor(operator.read(0)).shape
    wanted = emitter.numbers(operator.read(1))
    name = emitter.tensor(operator.output).name
    if len(given) != 4 or (wanted is not None and wanted.size != 2):
        raise ModelError(f"{operator} enlarges what is no picture", hint="the file is damaged")
    if wanted is None:
        channels = emitter.array(np.array([1, given[3]], np.int64), f"{name}_channels")
        sizes = emitter.add("Concat", [channels, emitter.read(operator.read(1))], f"{name}_sizes", axis=0)
        return ["", "", sizes]
    sizes_now = [int(size) for size in wanted.ravel()]
    if min(*sizes_now, *given[1:3]) < 1:
        raise ModelError(
            f"{operator} has a fixed size for pictures of free size", hint="export it with one or the other"
        )
    factors = [new / old for new, old in zip(sizes_now, given[1:3], strict=True)]
    if all(
        int(np.floor(np.float32(f) * old)) == new for f, new, old in zip(factors, sizes_now, given[1:3], strict=True)
    ):
        return ["", emitter.array(np.array([1, 1, *factors], np.float32), f"{name}_factors")]
    emitter.baked = True
    return ["", "", emitter.array(np.array([1, given[3], *sizes_now], np.int64), f"{name}_sizes")]


def _shape(emitter: Emitter, operator: Operator) -> None:
    name = emitter.add("Shape", [emitter.read(operator.read(0))])
    if emitter.tensor(operator.read(0)).rank == 4:
        name = emitter.add("Gather", [name, emitter.array(np.array(TO_LAST, np.int64), "order")], axis=0)
    emitter.write(operator.output, name)


def _pack(emitter: Emitter, operator: Operator) -> None:
    rank = emitter.tensor(operator.output).rank
    axis = int(operator.options["Axis"]) % max(rank, 1)
    axes = emitter.array(np.array([axis], np.int64), "axes")
    parts = [emitter.last(operator.read(place)) for place in range(len(operator.inputs))]
    wide = [emitter.add("Unsqueeze", [part, axes]) for part in parts]
    emitter.write_last(operator.output, emitter.add("Concat", wide, axis=axis))


def _unpack(emitter: Emitter, operator: Operator) -> None:
    rank = emitter.tensor(operator.read(0)).rank
    axis = int(operator.options["Axis"]) % max(rank, 1)
    source = emitter.last(operator.read(0))
    for place, output in enumerate(operator.outputs):
        index = emitter.array(np.array(place, np.int64), "index")
        emitter.write_last(output, emitter.add("Gather", [source, index], axis=axis))


OPERATORS: Final = {
    "RESIZE_BILINEAR": _resize,
    "RESIZE_NEAREST_NEIGHBOR": _resize,
    "SHAPE": _shape,
    "PACK": _pack,
    "UNPACK": _unpack,
}
