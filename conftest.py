"""Golden files: what is generated is compared with what is checked in, or written anew under `--update`.

A test that takes the fixture `golden` is one of `make generate`'s; there is nothing else to register.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

import worker  # noqa: F401  before torch: it tells OpenMP how to wait

Golden = Callable[[str, str], None]

ROOT = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--update`."""
    parser.addoption("--update", action="store_true", help="write the golden files anew")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that `make generate` runs."""
    for item in items:
        if "golden" in getattr(item, "fixturenames", ()):
            item.add_marker("golden")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Return a function that holds a file, by its path from the root, to the text that it should have."""
    update = request.config.getoption("--update")

    def hold(path: str, text: str) -> None:
        file = ROOT / path
        if update:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        elif not file.is_file() or file.read_text(encoding="utf-8") != text:
            pytest.fail(f"{path} is stale: run `make generate`", pytrace=False)

    return hold
