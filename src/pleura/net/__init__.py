"""The networks, their weights files, and their export to ONNX."""
