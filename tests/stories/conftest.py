"""Fixtures of the stories that are told through a browser: a live shop, and Chromium as pytest-playwright starts it."""

from typing import Any

import pytest

from tests.chromium import chromium
from tests.seeded import seeded_folder
from tests.stories.live_shop import live_shop

__all__ = ["live_shop", "seeded_folder"]


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    return {"executable_path": chromium(), "args": ["--no-sandbox", "--disable-gpu"]}
