"""OpenCL: kernels for phone GPUs, their launch plan, and a host part in C."""

from toolchain.backends.opencl.backend import OpenClBackend

__all__ = ["OpenClBackend"]
