"""The interpreter: walks a graph's nodes in order and computes each with torch."""
