"""A description in JSON, whoever's format it is in."""

from typing import TypeAlias

from service import keras
from service.contract.architecture import Architecture
from service.contract.architecture.reading import fitted, read

Description: TypeAlias = Architecture | keras.Description


def parse(text: bytes) -> Description:
    """Return the network that `text` (JSON, UTF-8) describes, checked.

    Trouble, with a JSON pointer where there is a place for it, if it describes none or breaks a limit.
    """
    document = read(text)
    if isinstance(document, dict) and "class_name" in document and "gradgate" not in document:
        return keras.parse(document)
    return fitted(document)
