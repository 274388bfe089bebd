"""TensorFlow Lite files made into ONNX models.

`contents` takes a file apart and checks it, `convert` goes through its operators, each of which is written by a
function in one of the other files here. Pictures become channels-first. Float networks become float
models; integer ones have a QuantizeLinear and a DequantizeLinear at each tensor and keep all their codes.
"""
