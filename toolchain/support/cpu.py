"""What the CPU of this machine can do, in the words of /proc/cpuinfo."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cpu:
    """The processor of a machine.

    Attributes:
        name: its model name, for people.
        machine: the architecture as ``uname -m`` spells it ("x86_64", "aarch64").
        features: instruction set extensions as Linux spells them in /proc/cpuinfo.
        cores: logical processors this process may use.
    """

    name: str
    machine: str
    features: frozenset[str]
    cores: int


def this_cpu(cpuinfo: Path = Path("/proc/cpuinfo")) -> Cpu:
    """Describe the CPU of this machine; without /proc/cpuinfo (not Linux) from ``sysctl``, else with no features."""
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        name, features = _from_sysctl()
    else:
        name, features = parse_cpuinfo(text)
    return Cpu(name or platform.processor() or platform.machine(), platform.machine(), features, usable_cores())


def usable_cores() -> int:
    """Logical processors this process may run on, at least 1."""
    try:
        return max(1, len(os.sched_getaffinity(0)))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1


def configure_tvm_threads() -> None:
    """Tell TVM how its thread pool is to behave; must be called before the pool starts. What the user has set is kept.

    - Every core is used, and threads stay where the system puts them. By itself TVM takes half of the cores of an x86
      machine, and ties the calling thread to one of them for good: the rest of the process, onnxruntime included,
      would stay there.
    - A thread without work gives its core up 200 times, about 0.1 ms, before it sleeps. By itself TVM does so 300,000
      times; beside busy programs that takes minutes, and TVM waits for it when the process ends.
    """
    os.environ.setdefault("TVM_NUM_THREADS", str(usable_cores()))
    os.environ.setdefault("TVM_BIND_THREADS", "0")
    os.environ.setdefault("TVM_THREAD_POOL_SPIN_COUNT", "200")


def parse_cpuinfo(text: str) -> tuple[str, frozenset[str]]:
    """Name and features that /proc/cpuinfo tells; only features that every core has."""
    name = ""
    common: frozenset[str] | None = None
    for line in text.splitlines():
        key, _, value = line.partition(":")
        match key.strip():
            case "model name" | "Hardware" if not name:
                name = value.strip()
            case "flags" | "Features":
                # Cores may differ (big.LITTLE): a thread may land on any of them, so only what all have counts.
                words = frozenset(value.split())
                common = words if common is None else common & words
            case _:
                pass
    return name, common or frozenset()


def _from_sysctl() -> tuple[str, frozenset[str]]:
    keys = ("machdep.cpu.brand_string", "machdep.cpu.features", "machdep.cpu.leaf7_features")
    values = []
    for key in keys:
        try:
            done = subprocess.run(["sysctl", "-n", key], capture_output=True, text=True, timeout=5, check=False)
        except (OSError, subprocess.SubprocessError):
            return "", frozenset()
        values.append(done.stdout.strip() if done.returncode == 0 else "")
    words = " ".join(values[1:]).lower().replace("sse4.1", "sse4_1").replace("sse4.2", "sse4_2")
    return values[0], frozenset(words.split())
