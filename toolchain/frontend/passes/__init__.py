"""Rewrites of the ONNX graph, one a file. Each keeps the function of the graph and says in a sentence what it did."""
