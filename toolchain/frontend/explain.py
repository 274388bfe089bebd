"""The one place where refusals of onnx and onnxruntime are put into words: the operator, what is wrong, what to do.

Their texts are written for those who build them, name C++ files and change between versions. What is known of them is
listed here; of all else only the operator's name is taken over, never the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from toolchain.support.errors import ModelError

_NODES = (
    re.compile(r"running (?P<op>\w+) node\. Name:'(?P<name>[^']*)'"),
    re.compile(r"op_type:\s*(?P<op>\w+), node name:\s*(?P<name>[^)]*)\)"),
    re.compile(r"In Node, \(\"?(?P<name>[^\",]*)\"?, (?P<op>\w+),"),
    re.compile(r"Node \((?P<name>[^)]*)\) Op \((?P<op>\w+)\)"),
    re.compile(r"[Nn]ame: (?P<name>.*?) OpType: (?P<op>\w+)"),
    re.compile(r"Optype \((?P<op>\w+)\).* in node \((?P<name>[^)]*)\)"),
    re.compile(r"for (?P<op>\w+)\(\d+\) node with name '(?P<name>[^']*)'"),
    re.compile(r"Node\s?\((?P<name>[^)]*)\) with schema\(\w*::(?P<op>\w+):"),
)
"""How both name an operator: its kind, and its own name."""

_AGAIN = "export the network again, with another opset or exporter"
_SIZE = (
    "a picture's size is baked into the model: export it with free height and width, or with the size that is "
    "baked in declared for its input"
)

_SIZES = (
    "either a picture's size is baked into the model, which must then be exported with free height and width; or the "
    "network makes pictures smaller before it enlarges them (strides, pooling, SpaceToDepth), takes some sizes only, "
    "and cannot be deployed"
)


@dataclass(frozen=True)
class Reason:
    """Why a model is refused.

    Attributes:
        operator: its kind and name, such as "Reshape 'head/shuffle'"; empty where none is at fault.
        what: what is wrong with it, to be read after "operator ... " or after "the model ".
        hint: what to do.
    """

    operator: str
    what: str
    hint: str

    def __str__(self) -> str:
        """As a sentence's end."""
        return f"operator {self.operator} {self.what}" if self.operator else f"it {self.what}"


_SLOPE = (
    "PRelu",
    re.compile(r"broadcast", re.IGNORECASE),
    "has slopes that do not lie along the channels",
    "give its slopes the shape (channels, 1, 1)",
)
_KNOWN: tuple[tuple[str, re.Pattern[str], str, str], ...] = (
    _SLOPE,
    (
        "",
        re.compile(r"reshape_helper|cannot be reshaped|requested shape"),
        "is asked for a shape that its input does not fill",
        _SIZE,
    ),
    ("Concat", re.compile(r"[Nn]on concat axis|must match"), "joins tensors of different sizes", _SIZES),
    ("", re.compile(r"broadcast", re.IGNORECASE), "is given operands of different sizes", _SIZES),
    (
        "",
        re.compile(r"kernel channels|Input channels"),
        "has weights for another number of channels than its input has",
        _AGAIN,
    ),
    (
        "SpaceToDepth",
        re.compile(r"block_?size", re.IGNORECASE),
        "cannot divide a picture of this size into blocks",
        "networks that make pictures smaller before they enlarge them cannot be deployed",
    ),
    (
        "",
        re.compile(r"block_size|blocksize"),
        "cannot spread its channels over blocks: their number is no multiple",
        _AGAIN,
    ),
    ("", re.compile(r"No Op registered|not a registered function"), "is not known in the model's opset", _AGAIN),
    (
        "",
        re.compile(r"Could not find an implementation"),
        "does not exist for this type of numbers",
        "export the network in float32",
    ),
    (
        "",
        re.compile(r"bound to different types|inconsistent type|TypeInferenceError|Type Error"),
        "is given numbers of types that do not fit together",
        "export the network in float32",
    ),
    ("", re.compile(r"[Rr]equired attribute"), "lacks an attribute that it must have", _AGAIN),
    ("", re.compile(r"Unrecognized attribute"), "has an attribute that is not its own", _AGAIN),
    ("", re.compile(r"(input|output) size \d+ not in range"), "has a wrong number of inputs or outputs", _AGAIN),
    ("", re.compile(r"[Aa]ttribute \w+ has incorrect size"), "has an attribute of the wrong length", _AGAIN),
    (
        "",
        re.compile(r"single static assignment|Duplicate definition"),
        "makes a tensor that another one makes too",
        _AGAIN,
    ),
    (
        "",
        re.compile(r"topologically sorted|not a graph input, initializer"),
        "reads a tensor that nothing makes",
        _AGAIN,
    ),
    ("", re.compile(r"[Aa]llocat|bad_alloc"), "asks for more memory than there is", "is it the right model?"),
    ("", re.compile(r"Field '(\w+)' of '(\w+)'.* missing"), "lacks a part that every ONNX file has", _AGAIN),
    (
        "",
        re.compile(r"Incompatible dim|ShapeInferenceError|[Dd]imension|shape"),
        "is given tensors whose shapes do not fit together",
        _SIZES,
    ),
)
"""Operator (any if empty), text, what it means, what to do: the first that fits is taken."""


def explain(error: BaseException) -> Reason:
    """Return what an exception of onnx or onnxruntime says, in words of our own."""
    text = str(error)
    found = next((match for match in (pattern.search(text) for pattern in _NODES) if match), None)
    op = found["op"] if found else ""
    operator = f"{op} '{found['name']}'" if found and found["name"] else op
    for only, pattern, what, hint in _KNOWN:
        if only in ("", op) and pattern.search(text):
            return Reason(operator, what, hint)
    return Reason(operator, "is refused" if operator else "breaks a rule of ONNX", _AGAIN)


def refusal(doing: str, error: BaseException, *, hint: str = "") -> ModelError:
    """Return the error to raise for an exception of onnx or onnxruntime, met while ``doing``.

    Args:
        doing: what cannot be done, such as "the model cannot be executed".
        error: the exception; its text is read, not shown.
        hint: what to do, in place of what `explain` advises.
    """
    reason = explain(error)
    return ModelError(f"{doing}: {reason}", hint=hint or reason.hint)
