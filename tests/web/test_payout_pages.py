"""A payout through its pages: made, approved and frozen, downloaded, sent, its results looked at before they count, returns issued again."""

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from markupsafe import escape

from marketplace.foundation.audit import AuditEvent
from marketplace.foundation.database import db, transaction
from marketplace.households.account_proposal import AccountProposal
from marketplace.households.household import Household
from marketplace.ledger import balance
from marketplace.organisations.person import grant
from marketplace.settlement import payout_batch
from marketplace.settlement.distribution import Distribution
from marketplace.settlement.payout_batch import PayoutBatch
from marketplace.settlement.payout_results import PayoutResults
from tests import builders
from tests.builders import Market
from tests.settlement.test_payout_batch import HEADER, approved, made, posted, sent
from tests.web.test_goods import browser


def fresh(row: PayoutBatch) -> PayoutBatch:
    db.session.rollback()
    return db.session.get_one(PayoutBatch, row.id)


def step(client: FlaskClient, row: PayoutBatch, name: str, **form: str):  # type: ignore[no-untyped-def]
    return client.post(f"/payouts/{row.public_id}/step/{name}", data={"version": str(fresh(row).version), **form})


def upload(client: FlaskClient, row: PayoutBatch, *lines: str, content: bytes | None = None, name: str = "回盘.csv"):  # type: ignore[no-untyped-def]
    content = content if content is not None else "\n".join([HEADER, *(f"{row.number},{line}" for line in lines)]).encode()
    head = f'--x\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: text/csv\r\n\r\n'
    body = head.encode() + content + b"\r\n--x--\r\n"
    return client.post(f"/payouts/{row.public_id}/results", data=body, content_type="multipart/form-data; boundary=x")


def word(client: FlaskClient, market: Market, house: str, **form: str):  # type: ignore[no-untyped-def]
    """The second person's word on the latest account proposed for a household."""
    db.session.rollback()
    proposal = db.session.query(AccountProposal).filter_by(organisation_id=market.cooperative).order_by(AccountProposal.id.desc()).first()
    assert proposal is not None
    return client.post(f"/households/{house}/account/{proposal.public_id}", data={"version": "1", "decision": "approve", **form})


def owed(market: Market) -> list[int]:
    db.session.rollback()
    held = balance.by_owner("household", market.cooperative)
    return [held[f"household:{each}"] for each in market.households]


def test_the_whole_way_to_the_bank_and_back(app: Flask) -> None:
    market, distribution_id = posted()
    source = db.session.get_one(Distribution, distribution_id).public_id
    accountant, director = browser(app, market.accountant), browser(app, market.director)
    page = accountant.get(f"/payouts/new/{source}").text
    assert "做代发批次 ¥60.00" in page
    key = re.search(r'name="idempotency_key" value="(\w+)"', page)
    assert key
    form = {"idempotency_key": key[1]}
    first, second = (accountant.post(f"/payouts/new/{source}", data=form) for _ in range(2))
    assert (first.status_code, first.location) == (303, second.location)
    row = db.session.query(PayoutBatch).one()
    address = f"/payouts/{row.public_id}"
    assert "等理事长审批" in accountant.get(address).text
    assert accountant.post(f"{address}/file").status_code == 409
    assert "3 笔，共 ¥60.00" in director.get(f"{address}/step/approve").text
    for expected in (303, 409):
        assert step(director, row, "approve").status_code == expected
    digest = fresh(row).sha256
    assert digest is not None
    assert digest in accountant.get(address).text
    before = db.session.query(AuditEvent).filter_by(action="payout.file_read").count()
    file = accountant.post(f"{address}/file")
    assert (file.status_code, file.headers["Cache-Control"]) == (200, "private, no-store")
    assert "30.00" in file.data.decode("gb18030")
    assert db.session.query(AuditEvent).filter_by(action="payout.file_read").count() == before + 1
    for expected in (303, 409):
        assert step(accountant, row, "send").status_code == expected
    assert owed(market) == [0, 0, 0]

    answer = upload(accountant, row, "1,10.00,paid,", "2,20.00,returned,户名不符")
    assert answer.status_code == 303
    preview = accountant.get(answer.location).text
    assert ("记为到账" in preview, "户名不符" in preview, "记入 2 笔结果" in preview) == (True, True, True)
    assert owed(market) == [0, 0, 0], "nothing changes before it is applied"
    for expected in (303, 409):
        assert accountant.post(answer.location).status_code == expected
    assert owed(market) == [0, 2_000, 0]
    assert "已经记入" in accountant.get(answer.location).text
    # The same file again is the same row, and says so; a later one with old and new lines changes the new ones only.
    assert upload(accountant, row, "1,10.00,paid,", "2,20.00,returned,户名不符").location == answer.location
    again = upload(accountant, row, "1,10.00,paid,", "3,30.00,refused,余额不足")
    assert "记入 1 笔结果" in accountant.get(again.location).text
    assert accountant.post(again.location).status_code == 303
    assert (owed(market), fresh(row).state) == ([0, 2_000, 3_000], "DONE")
    page = accountant.get(f"{address}?items=back").text
    assert ("户名不符" in page, "余额不足" in page, f"{address}/step/reissue" in page) == (True, True, True)


BAD: dict[str, tuple[bytes, str]] = {
    "another batch's": (f"{HEADER}\nDF-other,1,10.00,paid,\n".encode(), "不是这一批"),
    "altered": (f"{HEADER}\nNUMBER,1,90.00,paid,\n".encode(), "和发出的 10.00 不同"),
    "repeated": (f"{HEADER}\nNUMBER,1,10.00,paid,\nNUMBER,1,10.00,paid,\n".encode(), "出现了两次"),
    "not in it": (f"{HEADER}\nNUMBER,9,10.00,paid,\n".encode(), "不在这一批里"),
    "huge sequence": (f"{HEADER}\nNUMBER,{'9' * 5000},10.00,paid,\n".encode(), "不在这一批里"),
    "no reason": (f"{HEADER}\nNUMBER,1,10.00,returned,\n".encode(), "没有写原因"),
    "unknown result": (f"{HEADER}\nNUMBER,1,10.00,maybe,\n".encode(), "不认识"),
    "no amount": (f"{HEADER}\nNUMBER,1,=1+1,paid,\n".encode(), "读不出来"),
    "another heading": (b"a,b\n1,2\n", "表头"),
    "empty": (b"", "文件是空的"),
    "a whole picture": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + b"\0\1\2" * 99, "UTF-8"),
    "only a heading": (HEADER.encode(), "一笔结果也没有"),
    "a picture": (b"\x89PNG\r\n\x1a\n\xff\xff\x00\x00", "UTF-8"),
    "with nulls": (f"{HEADER}\nNUMBER,1\x00,10.00,paid,\n".encode(), "不在这一批里"),
    "unclosed quotes": (f'{HEADER}\nNUMBER,"1,10.00,paid,\n'.encode(), "CSV"),
    "17 MB": (b"x" * (17 * 1024 * 1024), "16 MB"),
    "20 MB": (b"x" * (20 * 1024 * 1024), "16 MB"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_is_named_line_by_line_and_changes_nothing(app: Flask, kind: str) -> None:
    market, distribution_id = posted()
    row = sent(market, distribution_id)
    content, words = BAD[kind]
    answer = upload(browser(app, market.accountant), row, content=content.replace(b"NUMBER", row.number.encode()))
    assert answer.status_code == 422
    assert words in answer.text
    assert "一行也没有导入" in answer.text
    assert (db.session.query(PayoutResults).count(), owed(market), fresh(row).state) == (0, [0, 0, 0], "SENT")


def test_no_file_and_too_large_a_request(app: Flask) -> None:
    market, distribution_id = posted()
    row = sent(market, distribution_id)
    client = browser(app, market.accountant)
    assert client.post(f"/payouts/{row.public_id}/results").status_code == 422
    assert upload(client, row, content=b"x" * (22 * 1024 * 1024)).status_code == 413


def test_a_contradiction_is_shown_and_cannot_be_applied(app: Flask) -> None:
    market, distribution_id = posted()
    row, client = sent(market, distribution_id), browser(app, market.accountant)
    client.post(upload(client, row, "1,10.00,paid,", "3,30.00,returned,销户").location)
    answer = upload(client, row, "1,10.00,refused,余额不足", "2,20.00,paid,")
    assert "和以前的结果相反" in client.get(answer.location).text
    assert client.post(answer.location).status_code == 409
    assert owed(market) == [0, 0, 3_000]


def test_what_a_file_says_against_the_books_is_asked_and_the_rest_is_taken(app: Flask) -> None:
    market, distribution_id = posted()
    row, client = sent(market, distribution_id), browser(app, market.accountant)
    client.post(upload(client, row, "1,10.00,returned,销户").location)
    answer = upload(client, row, "1,10.00,paid,", "2,20.00,paid,")
    page = client.get(answer.location).text
    assert ("记为没有付的，请理事长核对" in page, "另有 1 笔和这里记的相反" in page) == (True, True)
    done = client.get(client.post(answer.location).location).text
    assert ("1 笔到账" in done, "已请理事长核对 1 笔" in done, "银行其实付了" in done) == (True, True, True)
    assert owed(market) == [1_000, 0, 0]
    again = upload(client, row, "1,10.00,paid,", "2,20.00,paid,", "3,30.00,处理中,")
    assert client.post(again.location).status_code == 303


def test_results_are_not_taken_before_the_bank_has_the_file(app: Flask) -> None:
    market, distribution_id = posted()
    row = approved(market, distribution_id)
    client = browser(app, market.accountant)
    assert client.get(f"/payouts/{row.public_id}/results").status_code == 409
    assert upload(client, row, "1,10.00,paid,").status_code == 409


def test_returned_corrected_and_issued_again(app: Flask) -> None:
    market, distribution_id = posted()
    row = sent(market, distribution_id)
    accountant, director = browser(app, market.accountant), browser(app, market.director)
    accountant.post(upload(accountant, row, "1,10.00,returned,账户已销", "2,20.00,paid,", "3,30.00,paid,").location)
    house = db.session.get_one(Household, market.households[0]).public_id
    page = accountant.get(f"/payouts/{row.public_id}/step/reissue").text
    assert ("账户已销" in page, page.count("没有改过") == 2, f"/households/{house}/account" in page) == (True, True, True)
    form = {"version": "1", "bank_name": "靖安农商银行", "account": "6228 4800 1234 5678", "again": "6228480012345678", "reason": "销户，凭新卡"}
    assert accountant.post(f"/households/{house}/account", data=form).status_code == 303
    page = accountant.get(f"/households/{house}/account").text
    assert ("尾号 5678" in page, "销户，凭新卡" in page, "6228480012345678" in page, "6228 4800" in page) == (True, True, False, False)
    page = accountant.get(f"/payouts/{row.public_id}/step/reissue").text
    assert ("1 户改账户等理事长同意" in page, page.count("没有改过")) == (True, 2), "nothing has changed yet"
    assert "1 户改账户等人同意" in director.get(f"/payouts/{row.public_id}").text
    assert word(director, market, house).status_code == 303
    page = accountant.get(f"/payouts/{row.public_id}/step/reissue").text
    assert ("尾号 5678" in page, page.count("没有改过") == 2) == (True, False)
    assert director.get(f"/payouts/{row.public_id}/step/reissue").status_code == 403
    answer = step(accountant, row, "reissue")
    assert answer.status_code == 303
    again = db.session.query(PayoutBatch).order_by(PayoutBatch.id.desc()).first()
    assert again is not None
    assert (again.reissue_of_id, again.total_fen) == (row.id, 1_000)
    assert step(accountant, row, "reissue").status_code == 409
    assert again.number in accountant.get(f"/payouts/{row.public_id}").text
    assert row.number in accountant.get(answer.location).text
    assert step(director, again, "approve").status_code == 303
    assert "6228480012345678" in accountant.post(f"/payouts/{again.public_id}/file").data.decode("gb18030")


@pytest.mark.parametrize("reason", ["<i hx-post=/payouts hx-trigger=load>", "50% 未付"])
def test_the_banks_words_are_shown_as_they_are_and_are_no_markup(app: Flask, reason: str) -> None:
    market, distribution_id = posted()
    row = sent(market, distribution_id)
    accountant = browser(app, market.accountant)
    accountant.post(upload(accountant, row, f"1,10.00,returned,{reason}", "2,20.00,paid,", "3,30.00,paid,").location)
    house = db.session.get_one(Household, market.households[0])
    sheets = (f"/payouts/{row.public_id}", f"/payouts/{row.public_id}/step/reissue", f"/households/{house.public_id}/account", f"/h/{house.statement_token}")
    for address in sheets:
        for language in ("zh", "en"):
            answer = accountant.get(address, headers={"X-Language": language})
            assert (answer.status_code, str(escape(reason)) in answer.text, "<i hx" in answer.text) == (200, True, False), address


def test_an_account_changed_since_is_flagged_before_the_director_approves(app: Flask) -> None:
    market, distribution_id = posted()
    row = made(market, distribution_id)
    director = browser(app, market.director)
    address = f"/payouts/{row.public_id}"
    assert "之后改过账户" not in director.get(address).text
    house = db.session.get_one(Household, market.households[0]).public_id
    form = {"version": "1", "bank_name": "邮储", "account": "62284800", "again": "62284800", "reason": "换行"}
    assert browser(app, market.accountant).post(f"/households/{house}/account", data=form).status_code == 303
    assert "之后改过账户" not in director.get(address).text
    assert word(director, market, house).status_code == 303
    assert "之后改过账户" in director.get(address).text
    assert step(director, row, "return", reason="").status_code == 422
    assert step(director, row, "return", reason="账户变了").status_code == 303
    assert ("账户变了" in director.get(address).text, owed(market)) == (True, [1_000, 2_000, 3_000])
    again = made(market, distribution_id)
    assert again.total_fen == 6_000
    page = director.get(f"/payouts/{again.public_id}").text
    assert ("1 户标着“新账户”" in page, "之后改过账户" in page) == (True, False)
    assert "其中 1 户是新账户" in director.get(f"/payouts/{again.public_id}/step/approve").text


def test_an_approved_batch_can_be_returned_until_the_bank_has_it(app: Flask) -> None:
    market, distribution_id = posted()
    row = approved(market, distribution_id)
    director, accountant = browser(app, market.director), browser(app, market.accountant)
    assert "否则会付两次" in director.get(f"/payouts/{row.public_id}/step/return").text
    assert step(accountant, row, "return", reason="x").status_code == 403
    assert step(director, row, "return", reason="银行系统停机").status_code == 303
    assert accountant.post(f"/payouts/{row.public_id}/step/send", data={"version": "3"}).status_code == 409
    row = sent(market, distribution_id)
    assert step(director, row, "return", reason="晚了").status_code == 409


ACCOUNTS = [
    {"account": "1234567", "again": "1234567"}, {"account": "1" * 33, "again": "1" * 33}, {"account": "6228x480012", "again": "6228x480012"},
    {"account": "６２２８４８００", "again": "６２２８４８００"}, {"again": "62284801"}, {"reason": ""}, {"bank_name": " "}, {"account": "", "again": ""},
    {"reason": "x" * 201}, {"bank_name": "行" * 81},
]  # fmt: skip


@pytest.mark.parametrize("wrong", ACCOUNTS, ids="-".join)
def test_a_wrong_account_is_refused_and_kept_out(app: Flask, wrong: dict[str, str]) -> None:
    market = builders.market()
    house = db.session.get_one(Household, market.households[0])
    before = house.bank_account
    form = {"version": "1", "bank_name": "邮储", "account": "62284800", "again": "62284800", "reason": "换行"}
    answer = browser(app, market.accountant).post(f"/households/{house.public_id}/account", data={**form, **wrong})
    assert answer.status_code == 422
    db.session.rollback()
    assert (db.session.get_one(Household, house.id).bank_account, db.session.query(AccountProposal).count()) == (before, 0)


def test_accounts_are_opened_by_whoever_works_with_the_household_and_written_down(app: Flask) -> None:
    market, other = builders.market(), builders.market(name="宝峰油茶合作社")
    house = db.session.get_one(Household, market.households[0])
    address = f"/households/{house.public_id}/account"
    form = {"version": "1", "bank_name": "邮储", "account": "62284800", "again": "62284800", "reason": "换行"}
    for actor, seen, saved in (
        (other.accountant, 404, 404), (market.clerk, 403, 403), (builders.person(builders.operator(), "auditor"), 403, 403),
        (market.director, 200, 403), (builders.customer(), 403, 403), (builders.person(builders.operator(), "treasurer"), 200, 303),
    ):  # fmt: skip
        client = browser(app, actor)
        assert (client.get(address).status_code, client.post(address, data=form).status_code) == (seen, saved), actor
    assert db.session.query(AuditEvent).filter_by(action="household.account_opened").count() == 2
    assert db.session.query(AuditEvent).filter_by(action="household.account_corrected").count() == 0
    treasurer, colleague = (builders.person(builders.operator(), "administrator") for _ in range(2))
    proposal = db.session.query(AccountProposal).one()
    decided = {"version": "1", "decision": "approve"}
    for actor, expected in ((market.director, 404), (other.director, 404), (market.accountant, 403), (colleague, 303), (treasurer, 409)):
        assert browser(app, actor).post(f"{address}/{proposal.public_id}", data=decided).status_code == expected, actor
    kept = db.session.query(AuditEvent).filter_by(action="household.account_corrected").one()
    assert "62284800" not in str(kept.data)
    stale = browser(app, market.accountant).post(address, data={**form, "account": "99990000", "again": "99990000"})
    assert stale.status_code == 409


def test_the_director_decides_where_the_accountant_asked(app: Flask) -> None:
    market = builders.market()
    house = db.session.get_one(Household, market.households[0])
    address, before, account = f"/households/{house.public_id}/account", house.bank_account, "62284800"
    accountant, director = browser(app, market.accountant), browser(app, market.director)
    form = {"version": "1", "bank_name": "邮储", "account": account, "again": account, "reason": "换行"}
    assert accountant.post(address, data=form).status_code == 303
    assert accountant.post(address, data=form).status_code == 409, "one waits already"
    assert ("理事长，不能是提出的人" in accountant.get(address).text, "核对过，同意" in accountant.get(address).text) == (True, False)
    page = director.get(address).text
    assert ("核对过，同意" in page, "尾号 4800" in page, account in page) == (True, True, False)
    assert "1 户改账户等人同意" in director.get("/payouts").text
    assert word(director, market, house.public_id, decision="return").status_code == 422
    assert word(director, market, house.public_id, decision="maybe").status_code == 422
    assert word(director, market, house.public_id, decision="return", returned_reason="没有附存折").status_code == 303
    page = accountant.get(address).text
    assert ("没有附存折" in page, "提出新账户" in page) == (True, True)
    db.session.rollback()
    assert db.session.get_one(Household, house.id).bank_account == before
    assert accountant.post(address, data=form).status_code == 303
    assert word(director, market, house.public_id, version="7").status_code == 409
    assert word(director, market, house.public_id).status_code == 303
    assert word(director, market, house.public_id).status_code == 409
    db.session.rollback()
    assert db.session.get_one(Household, house.id).bank_account == account
    assert "1 户改账户等人同意" not in director.get("/payouts").text
    assert "同意" in accountant.get(address).text
    # One who is both accountant and director decides on nothing of their own.
    with transaction():
        grant(market.accountant.person_id, market.cooperative, "director")
    both = browser(app, market.accountant)
    assert both.post(address, data={**form, "version": "2", "account": "99990000", "again": "99990000"}).status_code == 303
    assert ("要请另一个人来定" in both.get(address).text, "核对过，同意" in both.get(address).text) == (True, False)
    assert word(both, market, house.public_id).status_code == 403


def test_two_people_foreign_ids_and_readers(app: Flask) -> None:
    market, distribution_id = posted()
    row = made(market, distribution_id)
    other = builders.market(name="宝峰油茶合作社")
    stranger = browser(app, other.director)
    for path in ("", "/step/approve", "/results"):
        assert stranger.get(f"/payouts/{row.public_id}{path}").status_code == 404, path
    assert step(stranger, row, "approve").status_code == 404
    assert stranger.post(f"/payouts/{row.public_id}/file").status_code == 404
    source = db.session.get_one(Distribution, distribution_id).public_id
    assert browser(app, other.accountant).post(f"/payouts/new/{source}", data={"idempotency_key": "k"}).status_code == 404
    with transaction():
        grant(market.accountant.person_id, market.cooperative, "director")
    both = browser(app, market.accountant)
    assert "要请另一位理事长来审批" in both.get(f"/payouts/{row.public_id}").text
    assert step(both, row, "approve").status_code == 403
    auditor, clerk = browser(app, builders.person(builders.operator(), "auditor")), browser(app, market.clerk)
    treasurer = browser(app, builders.person(builders.operator(), "treasurer"))
    assert f"/payouts/{row.public_id}" in treasurer.get("/operator/queues/payouts").text
    for reader in (auditor, clerk, treasurer):
        page = reader.get(f"/payouts/{row.public_id}")
        assert (page.status_code, "step/approve" in page.text, "/file" in page.text) == (200, False, False)
        assert reader.get("/payouts/export.xlsx").status_code == 200
        assert step(reader, row, "approve").status_code == 403
        assert reader.post(f"/payouts/{row.public_id}/file").status_code == 403
        assert upload(reader, row, "1,10.00,paid,").status_code == 403
    transaction(lambda: payout_batch.approve(row.id, actor=market.director, version=1))
    transaction(lambda: payout_batch.mark_sent(row.id, actor=market.director))
    director = browser(app, market.director)
    kept = upload(director, row, "1,10.00,paid,").location
    theirs = sent(*posted())
    # A file of one batch is not applied through another's address.
    elsewhere = f"/payouts/{theirs.public_id}/results/{kept.rsplit('/', 1)[1]}"
    assert browser(app, market.director).post(elsewhere).status_code == 404
    assert stranger.get(kept).status_code == 404


def test_a_household_without_an_account_is_named_and_left_out(app: Flask) -> None:
    market, distribution_id = posted()
    with transaction():
        house = db.session.get_one(Household, market.households[1])
        house.bank_account = ""
    code, source = house.code, db.session.get_one(Distribution, distribution_id).public_id
    accountant = browser(app, market.accountant)
    page = accountant.get(f"/payouts/new/{source}").text
    assert ("做代发批次 ¥40.00" in page, code in page) == (True, True)
    accountant.post(f"/payouts/new/{source}", data={"idempotency_key": "k"})
    page = accountant.get(f"/payouts/new/{source}").text
    assert "剩下的户都没有银行账户" in page
    assert accountant.post(f"/payouts/new/{source}", data={"idempotency_key": "k2"}).status_code == 409


def test_empty_lists_say_why(app: Flask) -> None:
    market = builders.market()
    client = browser(app, market.director)
    assert "还没有代发过" in client.get("/payouts").text
    assert "没有这样的批次" in client.get("/payouts?view=done").text
    assert client.get("/payouts?view=nonsense").status_code == 400
