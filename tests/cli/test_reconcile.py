"""``flask reconcile``: the control total in a line, and an exit code for what nobody has explained."""

import json
from datetime import UTC, datetime

from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.organisations.organisation import Organisation
from tests import builders
from tests.payments.statement import take

NOW = datetime(2026, 3, 14, 4, tzinfo=UTC)
ROWS = [("2026-03-10", 100_000, "中学", "货款", "B1"), ("2026-03-11", -800, "银行", "费", "B2"), ("2026-03-13", 1, "银行", "利息", "B3")]


def test_it_says_every_fen_and_fails_while_one_is_unexplained(app: Flask) -> None:
    runner = app.test_cli_runner()
    with clock.travel(NOW):
        market = builders.market()
        take(market.accountant, ROWS[:1])
        said = runner.invoke(args=["reconcile", "show"])
        assert (said.exit_code, "books 1,000.00 = statement 1,000.00, explained" in said.output) == (0, True), said.output
        take(market.accountant, ROWS[1:], opening_fen=100_000)
        assert runner.invoke(args=["reconcile", "run"]).output == "1 differences open\n"
        said = runner.invoke(args=["reconcile", "show", "--json"])
        assert said.exit_code == 1
        (told,) = json.loads(said.output)
        assert (told["books_fen"], told["statement_fen"], told["unexplained"]) == (100_001, 99_201, 1)
        assert [(item["kind"], item["fen"]) for item in told["items"]] == [("ONLY_THEIRS", 800)]
        earlier = runner.invoke(args=["reconcile", "show", "--day", "2026-03-10"])
        assert (earlier.exit_code, "books 1,000.00 = statement 1,000.00" in earlier.output) == (0, True)
        assert runner.invoke(args=["reconcile", "run", "--cooperative", "NOBODY"]).exit_code == 2
        code = db.session.get_one(Organisation, market.cooperative).code
        if code:
            assert runner.invoke(args=["reconcile", "run", "--cooperative", code]).exit_code == 0
