"""What a test needs and this machine has not. Said exactly; skipped at a desk, a failure where CI=true."""

import os
from typing import NoReturn

import pytest


def missing(text: str) -> NoReturn:
    """End the test: ``text`` says what is missing and how to get it."""
    if os.environ.get("CI", "").lower() in {"1", "true", "yes"}:
        pytest.fail(f"missing: {text}", pytrace=False)
    pytest.skip(text)
