"""What theory says of gradients in wide random networks, one module per kind; `benchmarks/theory.py` measures them."""
