"""Kernel templates in TensorIR: what an operation is, how tensors lie in memory, instruction sets, tiles, streaming."""
