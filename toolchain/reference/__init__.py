"""The integer reference: quantized arithmetic, QDQ graphs as lists of integer kernels, a NumPy interpreter, bounds."""
