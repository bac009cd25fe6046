"""Bytes to subjects: models in each format that callers have, and batches."""
