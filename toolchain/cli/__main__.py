"""``python -m toolchain.cli`` is ``clipfree``."""

from toolchain.cli import start

start()
