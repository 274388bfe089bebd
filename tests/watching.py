"""What watches over tests: compilers over memory and undefined behaviour, for the C and C++ that runs on boards; and
over the cores that this process may use.
"""

from __future__ import annotations

import functools
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.boards import have_compiler

FLAGS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-g", "-O1")
SETTINGS = {
    # What a process still holds when it ends is nobody's concern: drivers and TVM's runtime hold much.
    "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1:allow_user_segv_handler=0",
    "UBSAN_OPTIONS": "print_stacktrace=1",
}
CORES = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
"""Those this process had at the start; None where the system tells of none."""
WORDS = ("AddressSanitizer", "runtime error:")


@functools.cache
def _works() -> bool:
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder, "x.cc"), Path(folder, "x")
        source.write_text("int main() { return 0; }\n")
        made = subprocess.run(["c++", *FLAGS, str(source), "-o", str(program)], capture_output=True)
        return made.returncode == 0 and subprocess.run([str(program)], capture_output=True).returncode == 0


def need() -> None:
    """Skip the test where the compiler has no sanitizers."""
    if not have_compiler or not _works():
        pytest.skip("the compiler here has no sanitizers")


def complaints(text: str) -> list[str]:
    """What was found. Not that TVM asks for more memory than there is, as a client told it to: a session ends by it."""
    claims = ("requested allocation size", "allocation-size-too-big", "out of memory", "out-of-memory")
    found = [line for line in text.splitlines() if any(word in line for word in WORDS)]
    return [line for line in found if not any(claim in line for claim in claims)]


@contextmanager
def cores_kept() -> Iterator[None]:
    """Give this thread back the cores that it had at the start, and raise AssertionError if it has others by then."""
    yield
    if CORES is not None and (left := os.sched_getaffinity(0)) != CORES:
        os.sched_setaffinity(0, CORES)
        raise AssertionError(f"this left its process on the cores {left} instead of {CORES}")
