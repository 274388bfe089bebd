"""Tuning kernels for OpenCL devices: the candidates, what they look like to the cost model, and where they run.

Search, session, log and cost model are those of CPUs.
"""

import sys

WORKER = (sys.executable, "-m", "toolchain.tune.opencl.worker")
"""The command of the process that writes, compiles and times candidates; tests put others in its place."""

BOARD_WORKER = (sys.executable, "-m", "toolchain.tune.opencl.board_worker")
"""The same for devices of boards."""
