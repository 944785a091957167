"""Hundreds of payments and refunds over a gateway that fails a fifth of the time, on both databases: nothing lost, nothing doubled."""

from datetime import timedelta
from pathlib import Path

import pytest

from tests.payments.chaos import chaos

pytestmark = pytest.mark.soak


@pytest.mark.both
@pytest.mark.parametrize("seed", [11])
def test_every_yuan_is_found_again(tmp_path: Path, database: str, seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    with chaos(tmp_path / "data", database, seed=seed) as run:
        run.trade(buyers=200, kills=10)
        assert run.account() == []
        with capsys.disabled():
            print(f"\n{database.split(':', maxsplit=1)[0]}, seed {seed}: {run.told}")
        assert run.told.drained < timedelta(hours=8)
