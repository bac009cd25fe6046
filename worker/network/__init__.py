"""One graph form for every source, in ONNX's own operators, run by torch and differentiable.

`graph` is the form; `model`, `proto` and `functions` read it from ONNX's protobufs, `export` and `header` write it.
`run` interprets it with the functions in `ops`, or with the definitions of ONNX's schemas (`body`), in the faster form
of `fold` and `fuse` where nobody looks between; `straight` lets gradients through quantization, and `flow` tells from
the graph where they end.  `edit`, `layers` and `laws` serve treatments.  `backend` is ONNX's own interface to all this.
"""
