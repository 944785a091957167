"""The short form of the chaos run; ``make soak`` runs the long one."""

from pathlib import Path

import pytest

from tests.payments.chaos import chaos


@pytest.mark.parametrize("seed", [1])
def test_every_yuan_is_found_again(tmp_path: Path, database: str, seed: int) -> None:
    with chaos(tmp_path / "data", database, seed=seed) as run:
        run.trade(buyers=16, kills=1, percent=60)
        assert run.account() == []
        print(run.told)
        assert run.told.payments >= 8 and run.told.refunds >= 3 and run.told.unknown >= 2 and run.told.kills == 2
        assert run.told.late >= 1  # calls really ran into their deadline
        assert run.told.billed == run.told.payments + run.told.refunds  # the bills told of every movement
        assert run.told.unseen >= 1  # and a page that nobody opened left nothing open
