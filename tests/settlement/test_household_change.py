"""A household leaves, dies out or divides: shares end on the day, money stays payable, people are conserved, and two people decide."""

from datetime import timedelta
from io import BytesIO

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.audit import AuditEvent
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed
from marketplace.foundation.files import StoredFile
from marketplace.households import account_proposal, household_change
from marketplace.households.household import Household
from marketplace.households.household_change import HouseholdChange, Other
from marketplace.households.linkage_group import LinkageShare
from marketplace.ledger import balance
from marketplace.ledger.entry import of_source
from marketplace.organisations.actor import Actor
from marketplace.organisations.approval import OwnWork
from marketplace.reporting import books_shares, fairness
from marketplace.settlement import payout_account, payout_batch, unclaimed_return
from marketplace.settlement.payout_batch import PayoutBatch
from tests import builders
from tests.builders import Market
from tests.ledger.account_book import read
from tests.settlement.test_payout_batch import bring, posted, sent
from tests.settlement.test_unclaimed import moved
from tests.web.work_desk import browser

HEIR = Other(name="王继承", id_number="360925199001010012", bank="靖安农商银行", account="6228480000000001")
DIVIDED = Other(name="王分户", id_number="360925199001010020", code="JA-NEW-01", people=1, shares_bp=5_000, credit_bp=2_500)


def administrator() -> Actor:
    return builders.person(builders.operator(), "administrator")


def today() -> clock.date:
    return clock.business_date()


def proposed(household_id: int, kind: str, other: Other = Other(), *, actor: Actor | None = None, **changed: object) -> HouseholdChange:  # noqa: B008
    who = actor or administrator()
    asked = {"last_day": today(), "reason": "凭村委会证明", "document": b"%PDF-1.4 paper", "name": "证明.pdf", "media_type": "application/pdf"} | changed
    return transaction(lambda: household_change.propose(household_id, kind, other=other, actor=who, **asked))  # type: ignore[arg-type]


def changed(household_id: int, kind: str, other: Other = Other(), **asked: object) -> HouseholdChange:  # noqa: B008
    row = proposed(household_id, kind, other, **asked)
    second = administrator()
    return transaction(lambda: household_change.decide(row.id, actor=second, version=1, approved=True))


def shares(household_id: int) -> list[tuple[int, object, object]]:
    query = db.select(LinkageShare).where(LinkageShare.household_id == household_id).order_by(LinkageShare.id)
    return [(row.shares, row.starts_on, row.ends_on) for row in db.session.scalars(query)]


def rules_hold() -> bool:
    return not any(rule() for rule in (books_shares.households_share_is_accounted_for, books_shares.households_are_owed_what_was_not_paid))


@pytest.mark.both
def test_who_leaves_holds_shares_until_the_day_and_is_paid_what_was_credited(app: Flask) -> None:
    market, distribution_id = posted()
    leaver = market.households[1]
    changed(leaver, "LEAVES")
    ((count, _starts, ends),) = shares(leaver)
    # The month is distributed already: the share counts to its end, and no longer.
    assert (count, ends) == (2, (today().replace(day=28) + timedelta(days=7)).replace(day=1) - timedelta(days=1))
    assert db.session.get_one(Household, leaver).exited_on == today()
    batch = transaction(lambda: payout_batch.make(distribution_id, actor=market.accountant))
    assert (batch.total_fen, batch.items) == (6_000, 3)
    with pytest.raises(Conflict, match=r"change\.exited"):
        proposed(leaver, "LEAVES")


@pytest.mark.both
def test_an_heir_is_paid_under_the_heirs_name_and_account(app: Flask) -> None:
    market, distribution_id = posted()
    row = changed(market.households[0], "DIES", HEIR)
    assert db.session.get_one(StoredFile, row.file_id).sensitivity == "PERSONAL"
    batch = transaction(lambda: payout_batch.make(distribution_id, actor=market.accountant))
    transaction(lambda: payout_batch.approve(batch.id, actor=market.director, version=1))
    _, content = transaction(lambda: payout_batch.bank_file(batch.id, actor=market.director))
    first = content.decode("gb18030").split("\r\n")[1].split(",")
    assert first[1:6] == ["王继承", "360925199001010012", "靖安农商银行", "6228480000000001", "10.00"]


@pytest.mark.both
def test_a_household_divides_with_its_people_shares_and_old_credit(app: Flask) -> None:
    market, distribution_id = posted()
    old = market.households[2]  # three people, three shares, ¥30.00 credited
    before = [(home.people, home.earned_fen) for home in fairness.homes(today().year)]
    row = changed(old, "SPLITS", DIVIDED)
    assert row.other_id is not None
    new = db.session.get_one(Household, row.other_id)
    left = db.session.get_one(Household, old)
    assert (left.people, new.people, row.people_before, new.registry_status, new.village_id) == (2, 1, 3, left.registry_status, left.village_id)
    after = fairness.homes(today().year)
    assert (len(after), sum(home.people for home in after)) == (len(before) + 1, sum(people for people, _ in before))
    (ended, kept), (theirs,) = shares(old), shares(new.id)
    assert (ended[0], kept[0], theirs[0]) == (3, 2, 1)
    assert (kept[1], theirs[1]) == (ended[2] + timedelta(days=1), ended[2] + timedelta(days=1))  # type: ignore[operator]
    held = balance.by_owner("household", market.cooperative)
    assert (held[f"household:{old}"], held[f"household:{new.id}"]) == (2_250, 750)
    (entry,) = of_source("household_change", row.id)
    assert (entry.kind, read(entry.id).splitlines()) == (
        "credit_divided", [f"debit  household household:{old} 7.50", f"credit household household:{new.id} 7.50"],
    )  # fmt: skip
    assert rules_hold()
    with transaction():
        db.session.get_one(Household, new.id).bank_account = "6228000099990000"
    batch = transaction(lambda: payout_batch.make(distribution_id, actor=market.accountant))
    assert {item.household_id: item.fen for item in payout_batch.items_of(batch.id)}[new.id] == 750
    assert (batch.total_fen, batch.items) == (6_000, 4)


def returned_to(market: Market, distribution_id: int, sequence: int) -> PayoutBatch:
    """The bank paid the others, and sent this one back."""
    row = sent(market, distribution_id)
    bring(row, market, *(f"{row.number},{n},{n}0.00,{'returned' if n == sequence else 'paid'},户名不符" for n in (1, 2, 3)))
    return row


def owed_of(market: Market, *household_ids: int | None) -> list[int]:
    held = balance.by_owner("household", market.cooperative)
    return [held.get(f"household:{each}", 0) for each in household_ids]


@pytest.mark.both
def test_what_was_moved_to_a_household_is_divided_when_it_divides_in_its_turn(app: Flask) -> None:
    market, distribution_id = posted()
    old = market.households[2]
    first = changed(old, "SPLITS", Other(**{**vars(DIVIDED), "people": 2, "credit_bp": 5_000}))
    assert first.other_id is not None
    with clock.travel(clock.now() + timedelta(days=40)):
        second = changed(first.other_id, "SPLITS", Other(**{**vars(DIVIDED), "code": "JA-NEW-02", "credit_bp": 5_000}))
    assert owed_of(market, old, first.other_id, second.other_id) == [1_500, 750, 750]
    with transaction():
        db.session.get_one(Household, second.other_id).bank_account = "6228000099990000"
    batch = transaction(lambda: payout_batch.make(distribution_id, actor=market.accountant))
    assert {item.household_id: item.fen for item in payout_batch.items_of(batch.id)}[second.other_id] == 750
    assert rules_hold()
    assert payout_account.was_given(second.other_id, market.cooperative), "its accountant may look after the account"


@pytest.mark.both
def test_what_came_back_from_the_bank_is_divided_too(app: Flask) -> None:
    market, distribution_id = posted()
    old = market.households[2]
    back = returned_to(market, distribution_id, 3)
    row = changed(old, "SPLITS", DIVIDED)
    assert owed_of(market, old, row.other_id) == [2_250, 750]
    with pytest.raises(Conflict, match=r"payout\.nothing_returned"):
        transaction(lambda: payout_batch.reissue(back.id, actor=market.accountant))
    with transaction():
        db.session.get_one(Household, row.other_id).bank_account = "6228000099990000"
    batch = transaction(lambda: payout_batch.make(distribution_id, actor=market.accountant))
    assert {item.household_id: item.fen for item in payout_batch.items_of(batch.id)} == {old: 2_250, row.other_id: 750}
    assert rules_hold()


@pytest.mark.both
def test_what_was_appraised_is_divided_with_the_shares(app: Flask) -> None:
    market, _ = posted()
    old = market.households[2]
    with transaction():
        share = db.session.scalars(db.select(LinkageShare).where(LinkageShare.household_id == old)).one()
        share.asset_kind, share.appraised_fen = "LAND", 100_000
    row = changed(old, "SPLITS", DIVIDED)  # three shares: one of them divides off
    query = db.select(LinkageShare).where(LinkageShare.household_id.in_((old, row.other_id))).order_by(LinkageShare.id)
    assert [(each.household_id, each.shares, each.asset_kind, each.appraised_fen) for each in db.session.scalars(query)] == [
        (old, 3, "LAND", 100_000), (old, 2, "LAND", 66_667), (row.other_id, 1, "LAND", 33_333),
    ]  # fmt: skip


@pytest.mark.both
def test_a_household_of_the_register_inherits_the_credit_of_one_that_died(app: Flask) -> None:
    market, distribution_id = posted()
    dead, heir = market.households[2], market.households[0]
    returned_to(market, distribution_id, 3)
    of_heir = db.session.get_one(Household, heir)
    code, account = of_heir.code, of_heir.bank_account
    row = changed(dead, "DIES", Other(code=code.lower()))
    assert (row.other_id, owed_of(market, dead, heir)) == (heir, [0, 3_000])
    batch = transaction(lambda: payout_batch.make(distribution_id, actor=market.accountant))
    assert [(item.household_id, item.fen) for item in payout_batch.items_of(batch.id)] == [(heir, 3_000)]
    (entry,) = of_source("household_change", row.id)
    assert (entry.kind, read(entry.id).splitlines()) == (
        "credit_inherited", [f"debit  household household:{dead} 30.00", f"credit household household:{heir} 30.00"],
    )  # fmt: skip
    assert rules_hold()
    # What is credited to it later, for days before it died, goes to the heir's account too.
    gone = db.session.get_one(Household, dead)
    assert (gone.exited_on, gone.bank_account, gone.payee_name) == (today(), account, db.session.get_one(Household, heir).name)
    assert "继承" in app.test_client().get(f"/h/{db.session.get_one(Household, heir).statement_token}").text


@pytest.mark.both
@pytest.mark.parametrize("kind", ["DIES", "LEAVES"])
@pytest.mark.parametrize("who", ["a person", "a household"])
def test_an_heir_who_is_known_only_after_the_exit_is_paid(app: Flask, kind: str, who: str) -> None:
    """What was credited came back, went to the fund years later, and then the heir turned up."""
    market, distribution_id = posted()
    dead, other = market.households[2], market.households[0]
    changed(dead, kind)
    ended = shares(dead)
    back = returned_to(market, distribution_id, 3)
    gone = db.session.get_one(Household, dead)
    version, code = gone.version, db.session.get_one(Household, other).code
    if kind == "DIES":
        with pytest.raises(Conflict, match=r"account\.heir"), transaction():
            account_proposal.propose(
                dead, bank_name="邮储", account="6228480000000001", again="6228480000000001", reason="儿子的账户", actor=market.accountant, version=version,
            )
    with clock.travel(clock.now() + timedelta(days=800)):
        for other_kind, wrong in (("LEAVES", Other()), ("DIES", Other()), ("SPLITS", DIVIDED)):
            with pytest.raises(Conflict, match=r"change\.exited"):
                proposed(dead, other_kind, wrong)
        changed(dead, "DIES", HEIR if who == "a person" else Other(code=code))
        gone = db.session.get_one(Household, dead)
        assert (gone.exited_on, shares(dead)) == (today() - timedelta(days=800), ended), "its last day and its shares stay what they were"
        if who == "a household":
            assert owed_of(market, dead, other) == [0, 3_000]
            batch = transaction(lambda: payout_batch.make(distribution_id, actor=market.accountant))
            assert [(item.household_id, item.fen) for item in payout_batch.items_of(batch.id)] == [(other, 3_000)]
        else:
            again = transaction(lambda: payout_batch.reissue(back.id, actor=market.accountant))
            transaction(lambda: payout_batch.approve(again.id, actor=market.director, version=1))
            _name, content = transaction(lambda: payout_batch.bank_file(again.id, actor=market.accountant))
            assert "王继承,360925199001010012,靖安农商银行,6228480000000001,30.00" in content.decode("gb18030")
    assert rules_hold()


@pytest.mark.both
def test_what_went_to_the_fund_comes_back_to_an_heir(app: Flask) -> None:
    market, distribution_id = posted()
    dead = market.households[2]
    changed(dead, "DIES")
    returned_to(market, distribution_id, 3)
    with clock.travel(clock.now() + timedelta(days=800)):
        paper = moved(market)
        changed(dead, "DIES", HEIR)
        asked = transaction(lambda: unclaimed_return.propose(paper.id, dead, "持公证书到场", actor=market.accountant))
        transaction(lambda: unclaimed_return.decide(asked.id, actor=market.director, version=1, approved=True))
        batch = transaction(lambda: payout_batch.make(distribution_id, actor=market.accountant))
        transaction(lambda: payout_batch.approve(batch.id, actor=market.director, version=1))
        _name, content = transaction(lambda: payout_batch.bank_file(batch.id, actor=market.accountant))
    assert "王继承,360925199001010012,靖安农商银行,6228480000000001,30.00" in content.decode("gb18030")


def test_an_heir_of_the_register_is_there_and_is_another(app: Flask) -> None:
    market, _ = posted()
    dead, heir = market.households[1], market.households[0]
    own, other = (db.session.get_one(Household, each).code for each in (dead, heir))
    for wrong in (Other(code="no-such"), Other(code=own), Other(**{**vars(HEIR), "code": other})):
        with pytest.raises(InvalidInput) as refused:
            proposed(dead, "DIES", wrong)
        assert refused.value.data["field"] == "other_code"
    row, second = proposed(dead, "DIES", Other(code=other)), administrator()
    changed(heir, "LEAVES")
    with pytest.raises(Conflict, match=r"change\.heir_exited"):
        transaction(lambda: household_change.decide(row.id, actor=second, version=1, approved=True))
    assert db.session.get_one(Household, dead).exited_on is None


def test_old_credit_stays_where_the_document_says_nothing(app: Flask) -> None:
    market, _ = posted()
    changed(market.households[2], "SPLITS", Other(**{**vars(DIVIDED), "credit_bp": 0, "shares_bp": 0}))
    assert balance.by_owner("household", market.cooperative)[f"household:{market.households[2]}"] == 3_000
    assert [row[2] for row in shares(market.households[2])] == [None], "a part of nothing ends nothing"


def test_two_administrators_one_change_at_a_time(app: Flask) -> None:
    market, _ = posted()
    home, first = market.households[0], administrator()
    for wrong in (market.director, builders.person(builders.operator(), "treasurer")):
        with pytest.raises(NotAllowed):
            proposed(home, "LEAVES", actor=wrong)
    row = proposed(home, "LEAVES", actor=first)
    with pytest.raises(Conflict, match=r"change\.waiting"):
        proposed(home, "DIES")
    with pytest.raises(OwnWork):
        transaction(lambda: household_change.decide(row.id, actor=first, version=1, approved=True))
    second = administrator()
    with pytest.raises(InvalidInput):
        transaction(lambda: household_change.decide(row.id, actor=second, version=1, approved=False))
    transaction(lambda: household_change.decide(row.id, actor=second, version=1, approved=False, reason="证明不对"))
    assert (db.session.get_one(Household, home).exited_on, shares(home)[0][2]) == (None, None)
    with pytest.raises(Conflict, match=r"change\.decided"):
        transaction(lambda: household_change.decide(row.id, actor=second, version=2, approved=True))


@pytest.mark.parametrize(
    ("kind", "other", "asked", "field"),
    [
        ("MOVES", Other(), {}, "kind"),
        ("LEAVES", Other(), {"reason": " "}, "reason"),
        ("LEAVES", Other(), {"document": b""}, "document"),
        ("LEAVES", Other(), {"last_day": clock.date(2001, 1, 1)}, "last_day"),
        ("LEAVES", Other(), {"last_day": clock.date(2199, 1, 1)}, "last_day"),
        ("DIES", Other(**{**vars(HEIR), "account": "62 28"}), {}, "other_account"),
        ("DIES", Other(**{**vars(HEIR), "id_number": "1"}), {}, "other_name"),
        ("SPLITS", Other(**{**vars(DIVIDED), "people": 3}), {}, "other_people"),
        ("SPLITS", Other(**{**vars(DIVIDED), "unable": 1}), {}, "other_unable"),
        ("SPLITS", Other(**{**vars(DIVIDED), "shares_bp": 10_001}), {}, "shares_bp"),
        ("SPLITS", Other(**{**vars(DIVIDED), "code": "x"}), {}, "other_code"),
        ("SPLITS", Other(**{**vars(DIVIDED), "name": ""}), {}, "other_name"),
    ],
)
def test_what_is_no_change_is_refused_by_its_field(app: Flask, kind: str, other: Other, asked: dict[str, object], field: str) -> None:
    market: Market = builders.market()
    with pytest.raises(InvalidInput) as refused:
        proposed(market.households[0], kind, other, **asked)
    assert refused.value.data["field"] == field


def test_the_whole_way_through_its_pages(app: Flask) -> None:
    market, _ = posted()
    one, two = (browser(app, administrator()) for _ in range(2))
    code = db.session.get_one(Household, market.households[2]).code
    assert one.get("/operator/household-changes/new").status_code == 200
    form = {
        "code": code, "kind": "SPLITS", "last_day": f"{today()}", "reason": "凭分户协议", "other_name": "王分户", "other_id_number": "360925199001010020",
        "other_code": "ja-new-02", "other_people": "1", "other_unable": "0", "shares_bp": "50", "credit_bp": "25%",
    }  # fmt: skip
    bad = one.post("/operator/household-changes/new", data={**form, "document": (BytesIO(b"x"), "a.exe", "application/octet-stream")})
    assert (bad.status_code, "PDF、JPG 或 PNG" in bad.text, "凭分户协议" in bad.text) == (422, True, True)
    assert one.post("/operator/household-changes/new", data={**form, "code": "no-such"}).status_code == 422
    answer = one.post("/operator/household-changes/new", data={**form, "document": (BytesIO(b"%PDF"), "协议.pdf", "application/pdf")})
    assert answer.status_code == 303
    assert "要请另一位管理员同意" in one.get(answer.location).text
    page = two.get(answer.location).text
    assert ("3 人：留 2 人，分出去 1 人" in page, "王分户" in page, "王**" in page) == (True, False, True)
    assert two.post(f"{answer.location}/document").data == b"%PDF"
    assert db.session.query(AuditEvent).filter_by(action="household.document_read").count() == 1
    assert two.post(f"{answer.location}/decide", data={"decision": "return", "version": "1"}).status_code == 422
    for expected in (303, 409):
        assert two.post(f"{answer.location}/decide", data={"decision": "approve", "version": "1"}).status_code == expected
    assert code in two.get("/operator/household-changes").text
    assert browser(app, market.director).get("/operator/household-changes").status_code == 403
    statement = app.test_client().get(f"/h/{db.session.get_one(Household, market.households[2]).statement_token}").text
    assert ("转入转出" in statement, "分户" in statement) == (True, True)


@pytest.mark.both
@pytest.mark.parametrize("heir", [None, HEIR])
def test_an_account_that_was_asked_for_the_dead_is_not_agreed_to_afterwards(app: Flask, heir: Other | None) -> None:
    """It would be the dead one's telephone, or somebody's who asked in time, and not the heir's."""
    market = builders.market()
    home = market.households[0]
    version = db.session.get_one(Household, home).version
    number = transaction(
        lambda: account_proposal.propose(
            home, kind="alipay", account="13870010001", again="13870010001", payee_name="王老人", reason="凭手机登记", actor=market.accountant, version=version
        ).id
    )
    changed(home, "DIES", heir or Other())
    with pytest.raises(Conflict, match=r"account\.stale"), transaction():
        account_proposal.decide(number, actor=market.director, version=1, approved=True)
    assert db.session.get_one(Household, home).alipay_account == ""
    transaction(lambda: account_proposal.decide(number, actor=market.director, version=1, approved=False, reason="已去世"))
