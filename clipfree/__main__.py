"""``python -m clipfree`` is the command ``clipfree``."""

from toolchain.cli import start

if __name__ == "__main__":
    start()
