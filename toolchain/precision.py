"""The number formats a network can be deployed in."""

from __future__ import annotations

from toolchain.errors import InputError

INT8, FLOAT32, FLOAT16 = "int8", "float32", "float16"
TITLES = {INT8: "INT8", FLOAT32: "FP32", FLOAT16: "FP16"}
"""What they are called in tables."""


def read_precision(text: str) -> str:
    """One of `TITLES`.

    Raises:
        InputError: it is none of them.
    """
    if text not in TITLES:
        raise InputError(f"--precision {text} is not known", hint=f"give one of {', '.join(TITLES)}")
    return text
