"""HTML pages that need nothing beside them, and charts: templates, tables, pictures."""

from toolchain.pages.page import render
from toolchain.pages.table import Cell, Column, Table, bar, distribution, figure, word

__all__ = ["Cell", "Column", "Table", "bar", "distribution", "figure", "render", "word"]
