"""Measures a subject.  What comes out is evidence: plain numbers, no tensors."""
