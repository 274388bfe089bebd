"""Libraries for CPUs, through LLVM."""

from toolchain.backends.cpu.backend import CpuBackend

__all__ = ["CpuBackend"]
