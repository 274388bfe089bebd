"""Tuning: measure which loop order each kernel wants, keep what was found in logs, and read it when building.

`task` says what is tuned, `space` among which tiles, `builder` and `runner` compile and time candidates in processes of
their own, `model` guesses which are worth it, `search` and `session` decide what to try next, `database` keeps the
trials, and `choose` picks the tiles of a build.
"""

import sys

WORKER = (sys.executable, "-m", "toolchain.tune.worker")
"""The command of the process that compiles and times candidates; tests put others in its place."""
