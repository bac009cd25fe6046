"""Bytes to subjects: models in each format that callers have, and batches.

`subject` tells the story.  Of an ONNX file, `wire` counts and lightens the bytes, `external` finds what lies elsewhere
and `onnx` reads the graph; `pruning`, `classical` and `fused` bring it to operators that rules know; `parameters` tells
what trains, by `slots`, `tables`, `provenance` and `ties`; `notes` and `quantization` say what was noticed;
`precision` brings it to float32.  A description goes through `architecture`, `lowering` and `drawing`.

`rebatch` frees a graph of a fixed batch (`joining`, `freeing`).  `fidelity` compares it with onnxruntime (`apart`,
`reference`, `numbers`) and finds the node at fault (`difference`, `judging`).
"""
