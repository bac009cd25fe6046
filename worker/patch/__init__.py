"""A change to a model as a patch (RFC 6902) of the JSON document in which the model came.

Treatments change a copy of a graph and know no file format.  What they changed is found by comparing the copy with
the graph it was made from (`difference`), brought to the places in the document that the nodes come from (`survey`),
and said in the document's format (`own`, `keras`).  Where one place of the document stands for several that must become
different, it is written out first (`opening`).  The patched document is read again, and a patch that does not give
the treated copy is not given.
"""

from collections.abc import Mapping

from worker.patch.dialect import Dialect
from worker.patch.keras import Keras
from worker.patch.making import Patch, Unsaid, patch
from worker.patch.own import Own

__all__ = ["Dialect", "Patch", "Unsaid", "dialects", "patch"]

dialects: Mapping[str, Dialect] = {"gradgate": Own(), "keras": Keras()}
"""The formats of JSON in which a patch can be written."""
