"""A difference is told once and asked until it is explained: another amount is another question, and so is one that comes back."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, NotAllowed, NotFound
from marketplace.organisations.approval import OwnWork
from marketplace.payments import account_bill, bill_difference
from marketplace.payments.alipay_account_bill import AccountRow
from marketplace.payments.bill_difference import BillDifference
from marketplace.payments.bill_import import ImportedBill
from marketplace.reporting import books
from marketplace.settlement import difference, period_close, reconciliation
from tests import builders
from tests.builders import Market
from tests.payments.statement import take
from tests.settlement.test_reconciliation import LATER, NOON, bill, broken, covered, market, reconciled, task
from tests.web.work_desk import browser

__all__ = ["market"]


def billed(market: Market, *moved: tuple[str, int]) -> None:
    """The account bill of the tenth with these movements of the balance (our number, fen), and three days after it without any."""
    left, rows = 0, []
    for place, (number, fen) in enumerate(moved):
        left += fen
        rows.append(AccountRow(f"S{place}", "other", f"T{place}", number, fen, left, NOON, "其他"))
    with transaction():
        account_bill.take(market.cooperative, bill(market, *rows))
        for later in (11, 12, 13):
            account_bill.take(market.cooperative, bill(market, day=date(2026, 3, later)))


def told_by_the_trade_bill(market: Market, number: str, fen: int) -> BillDifference:
    with transaction():
        imported = db.session.query(ImportedBill).first() or ImportedBill(
            organisation_id=market.cooperative, day=date(2026, 3, 10), sha256="0" * 64, rows=1, imported_at=clock.now()
        )
        db.session.add(imported)
        db.session.flush()
        row = BillDifference(
            organisation_id=market.cooperative, bill_id=imported.id, kind="ONLY_THEIRS", out_trade_no=number, ours_fen=0, theirs_fen=fen,
            found_at=clock.now(),
        )  # fmt: skip
        db.session.add(row)
    return row


@pytest.mark.both
def test_what_the_trade_bill_told_hides_its_like_and_nothing_else(app: Flask) -> None:
    with clock.travel(LATER):
        market = builders.market()
        told_by_the_trade_bill(market, "X1", 500)
        billed(market, ("X1", 500), ("X1", 500), ("X1", 900), ("X2", 500))
        assert sorted(reconciled(market)) == [("alipay", "ONLY_THEIRS", -900), ("alipay", "ONLY_THEIRS", -500), ("alipay", "ONLY_THEIRS", -500)]
        assert sorted(each.fen for each in difference.unexplained(reconciliation.position(market.cooperative, "alipay"))) == [-900, -500, -500]


@pytest.mark.both
def test_nothing_that_either_bill_tells_stays_unexplained_for_longer_than_a_day(app: Flask) -> None:
    with clock.travel(LATER):
        market, period = builders.market(), "2026-03"
        row = told_by_the_trade_bill(market, "X1", 500)
        billed(market, ("X1", 500))
        assert (reconciled(market), broken()) == ([], []), "it is asked once, of the trade bill"
    with clock.travel(LATER + timedelta(days=1, minutes=1)):
        assert broken() == ["bill_differences_are_explained"]
        (finding,) = [each for each in books.check() if not each.ok]
        assert finding.detail == f"trade bill of book {market.cooperative}: ONLY_THEIRS X1, books 0 fen, bill 500"
        assert [each.partition(" ")[0] for each in period_close.checklist(period).broken] == ["bill_differences_are_explained"]
        transaction(lambda: bill_difference.explain(row.id, "门店收款，不是商城的", actor=market.director))
        assert broken() == []


def test_somebody_works_on_it(app: Flask) -> None:
    with clock.travel(LATER):
        market, other = builders.market(), builders.market(name="乙社")
        row = told_by_the_trade_bill(market, "X1", 500)
        for actor, refused in ((market.clerk, NotAllowed), (other.accountant, NotFound)):
            with pytest.raises(refused):
                transaction(lambda who=actor: bill_difference.own(row.id, actor=who))  # type: ignore[misc]
        desk = browser(app, market.accountant)
        page = desk.get("/cooperative/differences").text
        assert ("我来办" in page, "X1" in page) == (True, True)
        assert desk.post(f"/cooperative/differences/{row.public_id}", data={"step": "own"}).status_code == 303
        db.session.refresh(row)
        assert row.owner_id == market.accountant.person_id
        assert "我来办" not in desk.get("/cooperative/differences").text
        transaction(lambda: bill_difference.explain(row.id, "门店收款，不是商城的", actor=market.director))
        assert (row.owner_id, row.explained_by_id) == (market.accountant.person_id, market.director.person_id)
        with pytest.raises(Conflict):
            transaction(lambda: bill_difference.own(row.id, actor=market.director))


@pytest.mark.both
def test_what_was_explained_went_away_and_comes_back_is_asked_again(market: Market) -> None:
    """The bank had not told of ¥7.00; then it did; and another time it did not tell of another ¥7.00."""
    covered(market, lost_fen=-700)
    assert reconciled(market) == [("bank", "MISSING_ROWS", 700)]
    asked = task("MISSING_ROWS")
    transaction(lambda: difference.explain(asked.id, "银行说晚几天给", version=1, actor=market.director))
    assert broken() == []
    take(market.accountant, [("2026-03-12", -700, "银行", "费", "B9")], opening_fen=100_000)
    assert reconciled(market) == [("bank", "ONLY_THEIRS", 700)]
    db.session.refresh(asked)
    assert (asked.state, asked.gone_at is not None, asked.explained_by_id) == ("EXPLAINED", True, market.director.person_id)
    transaction(lambda: difference.explain(task("ONLY_THEIRS").id, "银行的费用", version=1, actor=market.director))
    take(market.accountant, [("2026-03-13", 1, "银行", "利息", "END2")], opening_fen=99_301, lost_fen=-700)
    assert broken() == ["bank_and_alipay_are_statement_and_bill"]
    assert reconciled(market) == [("bank", "MISSING_ROWS", 700)]


@pytest.mark.both
@pytest.mark.parametrize("side", ["bank", "alipay"])
def test_who_transfers_does_not_say_alone_what_went_out(app: Flask, market: Market, side: str) -> None:
    """The attack: transfer to oneself, bring the true statement, call it the bank's charge; and nothing is open any more."""
    if side == "bank":
        covered(market, ("2026-03-11", -50_000, "会计本人", "往来款", "B3", "62170099"))
    else:
        moved = AccountRow("S1", "transfer", "T1", "", -50_000, -50_000, NOON, "转账")
        transaction(lambda: account_bill.take(market.cooperative, bill(market, moved)))
    assert reconciled(market) == [(side, "ONLY_THEIRS", 50_000)]
    asked = task("ONLY_THEIRS")
    both = replace(market.accountant, roles=frozenset({"accountant", "director"}))
    for who in (market.accountant, both) if side == "bank" else (market.accountant,):
        with pytest.raises(OwnWork), transaction():
            difference.explain(asked.id, "手续费，下月补记", version=1, actor=who)
    path = f"/reconciliation/differences/{asked.public_id}"
    sees = {who: 'value="explain"' in browser(app, actor).get(path).text for who, actor in (("accountant", market.accountant), ("director", market.director))}
    assert sees == {"accountant": False, "director": True}
    assert broken() == ["bank_and_alipay_are_statement_and_bill"]
    transaction(lambda: difference.explain(asked.id, "会计转走的，已报案", version=1, actor=market.director))
    assert broken() == []
