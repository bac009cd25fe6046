"""ONNX's operators as functions of torch tensors, one module per family.

To add one: a function decorated with `@op("Name", since=version)` in the family's module.  Its signature is its entry
in the specification: inputs in order (None where an optional one is absent), attributes by keyword with the
specification's defaults.  An operator that needs more than its inputs takes a keyword `context`.
"""
