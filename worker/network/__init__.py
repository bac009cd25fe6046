"""One graph form for every source, in ONNX's own operators, run by torch and differentiable."""
