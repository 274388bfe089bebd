"""The number formats a network can be deployed in."""

from __future__ import annotations

from toolchain.support.errors import InputError

INT8, FLOAT32, FLOAT16 = "int8", "float32", "float16"
TITLES = {INT8: "INT8", FLOAT32: "FP32", FLOAT16: "FP16"}
"""What they are called in tables."""

_ALSO = {"fp32": FLOAT32, "single": FLOAT32, "fp16": FLOAT16, "half": FLOAT16}


def read_precision(text: str, *, gpu: bool = False) -> str:
    """Return one of `TITLES`, also by its title; "float" is the one that suits a ``gpu``, float16, or else a CPU,
    float32.

    Raises:
        InputError: it is none of them.
    """
    name = _ALSO.get(text.lower(), text.lower())
    if name == "float":
        return FLOAT16 if gpu else FLOAT32
    if name not in TITLES:
        raise InputError(f"--precision {text} is not known", hint=f"give one of {', '.join(TITLES)}, or float")
    return name
