"""Passes of our own on TVM modules for CPUs, one a file; `toolchain.backends.cpu.pipeline` has their order."""
