"""Networks in the files of PyTorch, exported to ONNX by PyTorch itself: in a process of its own, from vetted files."""
