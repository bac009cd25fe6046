"""How a package of plug-ins finds its own: a module registers itself when it is imported."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import TypeVar

Thing = TypeVar("Thing")


class Registry(Mapping[str, Thing]):
    """What the modules of a package have registered, sorted by key; they are imported at the first look-up."""

    def __init__(self, package: str) -> None:
        """Serve the plug-ins of `package` (its dotted name)."""
        self._package = package
        self._things: dict[str, Thing] = {}
        self._loaded = False

    def add(self, key: str, thing: Thing) -> None:
        """Register `thing`.  A key is given once; ValueError otherwise."""
        if key in self._things:
            msg = f"{self._package}: {key!r} is registered twice"
            raise ValueError(msg)
        self._things[key] = thing

    def __getitem__(self, key: str) -> Thing:
        """Return the plug-in named `key`; KeyError where there is none."""
        self._load()
        return self._things[key]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the keys in alphabetical order."""
        self._load()
        return iter(sorted(self._things))

    def __len__(self) -> int:
        """Count the plug-ins."""
        self._load()
        return len(self._things)

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True
        for module in iter_modules(import_module(self._package).__path__, f"{self._package}."):
            import_module(module.name)
