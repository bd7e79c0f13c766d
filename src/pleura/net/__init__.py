"""The networks, their weights files, export to ONNX, and quantisation."""
