"""Keras on torch, told to say nothing; and, after a run with --update, the table of the largest errors."""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

from collections.abc import Iterator
from pathlib import Path

import keras
import pytest
import torch

from tests.keras.real import ERRORS

TABLE = Path(__file__).with_name("errors.txt")


@pytest.fixture(autouse=True)
def alike() -> Iterator[None]:
    """Draw the same weights in each test, and run on one thread.

    On several, torch 2.13 corrupts memory in Keras's own strided 1x1 convolutions.
    """
    keras.utils.set_random_seed(0)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the largest errors of the comparisons, where files are to be written and all of them ran."""
    if session.config.getoption("--update") and ERRORS:
        lines = (
            f"{name.replace('_', ' ')}\t{count}\t{outputs:.0e}\t{gradients:.0e}\n"
            for name, (count, outputs, gradients) in sorted(ERRORS.items())
        )
        TABLE.write_text("".join(lines), "utf-8")
