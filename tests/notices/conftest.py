"""What tests of letters share."""

from collections.abc import Iterator

import pytest

from marketplace.foundation import clock


@pytest.fixture
def still_clock() -> Iterator[None]:
    """Nothing falls due while a slow machine works."""
    with clock.travel(clock.now()):
        yield
