"""What tests of the second channel share: Stripe on loopback, and a market whose cooperative takes cards."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask

from tests.payments import stripe_desk
from tests.payments.stripe_counter import Counter, counter
from tests.payments.stripe_desk import Desk


@pytest.fixture(scope="session")
def localstripe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of localstripe's own environment."""
    return stripe_desk.environment(tmp_path_factory.mktemp("localstripe"))


@pytest.fixture
def stripe_says(app: Flask) -> Iterator[Counter]:
    """Stripe as far as it says whose a key is."""
    with counter(app) as running:
        yield running


@pytest.fixture
def desk(app: Flask, localstripe: Path) -> Iterator[Desk]:
    """Stripe as the application finds it."""
    before = app.extensions["settings"]
    with stripe_desk.desk(localstripe) as running:
        app.extensions["settings"] = replace(before, stripe_api=running.url)
        yield running
    app.extensions["settings"] = before
