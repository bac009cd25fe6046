"""The API for tests of the service."""

from collections.abc import Iterator

import pytest

from service.settings import Settings
from tests.service.api import Service


@pytest.fixture
def service(settings: Settings) -> Iterator[Service]:
    """The API over an empty server and an empty storage."""
    service = Service(settings)
    yield service
    service.backing.jobs.close()
