"""``python -m toolchain.cli`` is ``clipfree``."""

import sys

from toolchain.cli import main

sys.exit(main())
