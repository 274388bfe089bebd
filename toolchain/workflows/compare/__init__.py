"""Comparison: models, targets and precisions beside one another, in size, work, latency and quality.

`request` says what is asked for and which rows come of it, `run` makes them, with `latency` and `quality`; `store`
keeps each; `result` is what comes out, `text` shows it, `files` and `page` write it.
"""

from toolchain.workflows.compare.request import DEFAULT, Model, NamedBoard, Request, read_boards
from toolchain.workflows.compare.result import Comparison, Row
from toolchain.workflows.compare.run import compare

__all__ = ["DEFAULT", "Comparison", "Model", "NamedBoard", "Request", "Row", "compare", "read_boards"]
