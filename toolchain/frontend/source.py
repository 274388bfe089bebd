"""The model as it came, ready to run: what a normalized one is held against."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx

from toolchain.frontend.graph import Array
from toolchain.frontend.interface import Interface
from toolchain.frontend.session import FloatSession
from toolchain.support.errors import ModelError

NUMBERS = {"tensor(float16)": np.float16, "tensor(double)": np.float64, "tensor(uint8)": np.uint8}
"""NumPy's types of onnxruntime's, where they are not float32."""


UNITS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
"""Pixels by which networks may divide pictures."""

_PRIMES = (5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47)
"""Sides of the pictures that are tried, in such units: what divides these divides all multiples of a unit."""


def accepted(model: onnx.ModelProto, interface: Interface) -> Interface:
    """Return ``interface`` with a shape that a model of free size accepts and enlarges by a whole factor: what it has,
    else the smallest multiple of a unit. Where none is found, it stays.
    """
    try:
        session = FloatSession(model, threads=1, basic=True)
    except ModelError:
        return interface
    if _enlarges(session, interface):
        return interface
    rows, columns = (1, 2) if interface.channels_last else (2, 3)
    for unit in UNITS:
        shape = list(interface.shape)
        shape[columns], shape[rows] = sides(unit)[:2]
        tried = replace(interface, shape=tuple(shape), unit=unit)
        if _enlarges(session, tried):
            return tried
    return interface


_LEAST = 18
"""Pixels of a side that leave something of most networks' pictures."""


def sides(unit: int, beyond: int = 0) -> list[int]:
    """Return sides of small pictures, larger than ``beyond``, that are multiples of ``unit``: what divides them all
    divides all multiples.
    """
    multiples = [unit * prime for prime in _PRIMES if unit * prime >= _LEAST or prime > _PRIMES[1]]
    return [side for side in multiples if side > beyond]


def _enlarges(session: FloatSession, interface: Interface) -> bool:
    """Whether what comes out is so many times as high and wide as what went in."""
    wanted = NUMBERS.get(session.dtype, np.float32)
    try:
        result = session.run(None, np.zeros((interface.batch, *interface.shape[1:]), wanted))[0]
    except ModelError:
        return False
    start = 1 if interface.channels_last else 2
    given = interface.shape[start : start + 2]
    ratios = [[a / b for a, b in zip(result.shape[at : at + 2], given, strict=True)] for at in (1, 2)]
    whole = [up == across and round(up * interface.unit, 6) % 1 == 0 for up, across in ratios]
    return result.ndim == 4 and any(one and up >= 1 for one, (up, _) in zip(whole, ratios, strict=True))


class ModelSource:
    """A model and its ends.

    Attributes:
        interface: of the model.
    """

    def __init__(self, model: onnx.ModelProto, interface: Interface) -> None:
        """Copy ``model``, whose picture's size is freed, and try it on a small picture if it takes any.

        Raises:
            ModelError: it cannot be executed.
        """
        self.interface = interface
        self._session = FloatSession(model, threads=1, basic=True)
        if interface.fixed and not interface.freed:
            return  # tried later, on a picture of its own size
        try:
            self.run(np.zeros(interface.shape, np.float32))
        except ModelError as error:
            if not interface.freed:
                raise
            height, width = interface.declared
            raise ModelError(
                f"the model's picture is fixed to {height}x{width}, which is too large to be tried; of "
                f"another size, {error.message}",
                hint="export it with free height and width",
            ) from error

    def run(self, picture: Array) -> Array:
        """Return the output, float32, for a picture of ``interface.shape`` in float32; batches are filled with copies.

        Raises:
            ModelError: it cannot be executed.
        """
        wanted = NUMBERS.get(self._session.dtype, np.float32)
        batch = np.repeat(picture.astype(wanted), self.interface.batch, axis=0)
        (result, *_) = self._session.run(None, batch)
        return np.asarray(result[:1] if self.interface.batch > 1 else result, np.float32)
