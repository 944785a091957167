"""A results file that is longer than a page may take: kept at once, read by a worker that says how far it is, looked at page by page, taken by a worker."""

import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from marketplace.errands import attempt
from marketplace.errands.errand import Errand
from marketplace.foundation import clock
from marketplace.foundation.config import Settings
from marketplace.foundation.database import db, transaction
from marketplace.foundation.files import StoredFile
from marketplace.foundation.outbox import CLAIM
from marketplace.jobs import schedule
from marketplace.organisations.person import Role
from marketplace.settlement import payout_batch
from marketplace.settlement.payout_batch import PayoutBatch
from marketplace.settlement.payout_results import PayoutResults
from marketplace.settlement.payout_results_line import PayoutResultsLine
from tests import builders
from tests.builders import Market
from tests.settlement.test_payout_batch import HEADER, posted, posted_of, sent
from tests.statements import counted, repeated
from tests.web.test_errand_pages import many, page_of, the_errand, worker
from tests.web.test_payout_pages import owed, upload
from tests.web.work_desk import browser

__all__ = ["many"]
LINES = ("1,10.00,paid,", "2,20.00,returned,户名不符", "3,30.00,unknown,")


@pytest.fixture
def desk(many: Flask) -> tuple[Market, PayoutBatch, FlaskClient]:
    market, distribution_id = posted()
    return market, sent(market, distribution_id), browser(many, market.accountant)


def one_row() -> PayoutResults:
    db.session.rollback()
    return db.session.query(PayoutResults).one()


def read(app: Flask, client: FlaskClient, row: PayoutBatch, *lines: str) -> str:
    """A file brought and read by the worker; its preview's address."""
    brought = upload(client, row, *lines)
    worker(app)
    found = re.search(rf"/payouts/{row.public_id}/results/\w+", client.get(brought.location).text)
    assert found is not None
    return found[0]


@pytest.mark.both
def test_it_is_kept_read_looked_at_and_taken(many: Flask, desk: tuple[Market, PayoutBatch, FlaskClient]) -> None:
    market, row, accountant = desk
    director = browser(many, market.director)
    brought = upload(accountant, row, *LINES)
    assert (brought.status_code, brought.location) == (303, f"/errands/{the_errand().public_id}")
    kept = one_row()
    assert (kept.read_at, kept.lines, db.session.query(PayoutResultsLine).count()) == (None, 0, 0)
    page = accountant.get(brought.location).text
    assert (f"读代发 {row.number} 的回盘" in page, '<noscript><meta http-equiv="refresh"' in page) == (True, True)
    preview = f"/payouts/{row.public_id}/results/{kept.public_id}"
    # Whoever brings the same file, or looks at it, comes to the same errand; another file, and any other step, waits.
    for client in (accountant, director):
        assert upload(client, row, *LINES).location == client.get(preview).location == brought.location
    assert upload(director, row, LINES[0]).status_code == 409
    assert accountant.post(preview).status_code == 409
    assert "在排队" in accountant.get(f"/payouts/{row.public_id}").text
    worker(many)
    page = accountant.get(brought.location).text
    assert ("文件读过了，账还没有动" in page, f'href="{preview}"' in page) == (True, True)
    page = director.get(preview).text
    assert ("记入 3 笔结果" in page, "户名不符" in page, owed(market)) == (True, True, [0, 0, 0])
    assert upload(director, row, *LINES).location == preview, "what was read is not read again"
    asked = director.post(preview)
    assert asked.location.startswith("/errands/")
    assert accountant.post(preview).location == asked.location
    worker(many)
    assert "1 笔到账，1 笔退回，1 笔银行还没有结果" in director.get(asked.location).text
    assert owed(market) == [0, 2_000, 0]
    assert accountant.post(preview).status_code == 409
    assert "再传一次也不会再记" in accountant.get(upload(accountant, row, *LINES).location).text
    assert owed(market) == [0, 2_000, 0]


def test_the_page_says_how_far_the_reading_is(many: Flask, desk: tuple[Market, PayoutBatch, FlaskClient], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("marketplace.settlement.payout_answer.TOLD_EVERY", 1)
    _market, row, client = desk
    address = upload(client, row, *LINES).location
    its = the_errand()
    transaction(lambda: attempt.begin(its.id))
    seen = []

    def tell(done: int, of: int) -> None:
        transaction(lambda: attempt.tell(its.id, done, of))
        found = re.search(r"was=(RUNNING-\d+)", client.get(address).text)
        assert found is not None
        assert client.get(f"{address}?was={found[1]}").status_code == 204
        seen.append(done / of)

    work = attempt.ahead(its.id, tell)
    assert (seen == sorted(seen), len(set(seen)) >= 6, max(seen) <= 1) == (True, True, True)
    assert "读到哪里" in client.get(f"{address}?was=RUNNING-0").text
    assert db.session.query(PayoutResultsLine).count() == 0, "reading changes nothing"
    transaction(partial(attempt.carry_out, its.id, work))
    assert (db.session.query(PayoutResultsLine).count(), "读到哪里" in client.get(address).text) == (3, False)


def test_a_file_that_is_wrong_is_refused_line_by_line_and_another_can_be_brought(many: Flask, desk: tuple[Market, PayoutBatch, FlaskClient]) -> None:
    market, row, client = desk
    address = upload(client, row, "1,90.00,paid,", "9,10.00,paid,").location
    worker(many)
    page = client.get(address).text
    assert (page.count("和发出的 10.00 不同"), "不在这一批里" in page, "什么也没有改" in page) == (1, True, True)
    preview = f"/payouts/{row.public_id}/results/{one_row().public_id}"
    page = client.get(preview).text
    assert ("和发出的 10.00 不同" in page, "有 2 处不对" in page, "换一份文件" in page) == (True, True, True)
    assert client.post(preview).status_code == 409
    assert "还没有读成" in client.get(f"/payouts/{row.public_id}").text
    again = client.post(f"{preview}/read")
    assert again.location.startswith("/errands/")
    worker(many)
    assert "记入 1 笔结果" in client.get(read(many, client, row, "1,10.00,paid,")).text
    assert owed(market) == [0, 0, 0]


def test_a_file_that_was_brought_to_the_wrong_batch_goes_to_the_right_one(many: Flask, desk: tuple[Market, PayoutBatch, FlaskClient]) -> None:
    market, row, client = desk
    other = sent(market, posted_of(market))
    content = "\n".join([HEADER, *(f"{other.number},{line}" for line in LINES)]).encode()
    upload(client, row, content=content)
    worker(many)
    assert "不是这一批" in page_of(client, the_errand())
    upload(client, other, content=content)
    worker(many)
    assert db.session.query(PayoutResultsLine).count() == 3
    upload(client, row, content=content)
    worker(many)
    assert "不是这一批" in page_of(client, the_errand())
    assert db.session.query(PayoutResultsLine).count() == 3


def test_a_file_that_is_altered_after_it_came_is_neither_read_nor_taken(many: Flask, desk: tuple[Market, PayoutBatch, FlaskClient]) -> None:
    market, row, client = desk

    def altered() -> Path:
        stored = db.session.get_one(StoredFile, one_row().file_id)
        path = Path(stored.checked_path())
        path.write_bytes(path.read_bytes().replace(b"unknown", b"paid"))
        return path

    address = upload(client, row, *LINES).location
    path = altered()
    worker(many)
    assert "文件读不出来" in client.get(address).text
    path.write_bytes("\n".join([HEADER, *(f"{row.number},{line}" for line in LINES)]).encode())
    preview = f"/payouts/{row.public_id}/results/{one_row().public_id}"
    client.post(f"{preview}/read")
    worker(many)
    altered()
    address = client.post(preview).location
    worker(many)
    assert ("文件读不出来" in client.get(address).text, owed(market), one_row().applied_at) == (True, [0, 0, 0], None)


def test_whoever_lost_the_role_meanwhile_has_nothing_read(many: Flask, desk: tuple[Market, PayoutBatch, FlaskClient]) -> None:
    market, row, client = desk
    upload(client, row, *LINES)
    transaction(lambda: db.session.query(Role).filter_by(person_id=market.accountant.person_id, name="accountant").delete())
    worker(many)
    director = browser(many, market.director)
    assert "这一步要由别的岗位来办。" in page_of(director, the_errand())
    assert one_row().read_at is None
    assert upload(director, row, *LINES).location == f"/errands/{the_errand().public_id}"
    worker(many)
    assert one_row().lines == 3
    stranger = browser(many, builders.market(name="双溪合作社").director)
    for path in ("", "/read"):
        assert stranger.post(f"/payouts/{row.public_id}/results/{one_row().public_id}{path}").status_code == 404


@pytest.mark.both
def test_a_worker_that_is_killed_has_read_nothing_and_the_next_reads_it_once(
    many: Flask, desk: tuple[Market, PayoutBatch, FlaskClient], settings: Settings, database: str
) -> None:
    _market, row, client = desk
    upload(client, row, *LINES)
    command = [sys.executable, "-m", "tests.errands.killed", str(settings.data_dir), database]
    ended = subprocess.run(command, capture_output=True, check=False, timeout=60, env=os.environ | {"PYTHONPATH": str(Path.cwd())})
    assert ended.returncode == -signal.SIGKILL, ended.stderr[-2000:]
    assert (one_row().read_at, db.session.query(PayoutResultsLine).count(), the_errand().stage) == (None, 0, "RUNNING")
    with clock.travel(clock.now() + CLAIM + timedelta(seconds=1)):
        worker(many)
        worker(many)
    assert (one_row().lines, db.session.query(PayoutResultsLine).count(), the_errand().attempts) == (3, 3, 2)
    assert db.session.query(Errand).count() == 1


def test_words_that_nobody_knows_are_asked_about_and_the_worker_reads_on(many: Flask, desk: tuple[Market, PayoutBatch, FlaskClient]) -> None:
    _market, row, client = desk
    accounts = [item.bank_account for item in payout_batch.items_of(row.id)]
    content = ("编码,收方,数额,标志\n" + f"1,{accounts[0]},10.00,划付完成\n2,{accounts[1]},20.00,划付完成\n").encode("gb18030")
    address = upload(client, row, content=content).location
    worker(many)
    preview = f"/payouts/{row.public_id}/results/{one_row().public_id}"
    assert preview in client.get(address).text
    columns = client.get(preview).location
    assert columns == f"{preview}/columns"
    said = client.post(columns, data={"heading_line": "1", "column-0": "sequence", "column-1": "account", "column-2": "amount", "column-3": "result"})
    assert said.location.startswith("/errands/")
    assert client.post(columns, data={"heading_line": "1"}).status_code == 409, "while it is read"
    worker(many)
    assert "“划付完成”，2 笔" in client.get(client.get(preview).location).text
    assert client.post(columns, data={"word-0": "paid"}).location.startswith("/errands/")
    worker(many)
    assert "记入 2 笔结果" in client.get(preview).text


def test_the_preview_goes_page_by_page_and_is_always_of_now(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("marketplace.web.payout_results.PAGE", 1)
    market, distribution_id = posted()
    row, client = sent(market, distribution_id), browser(app, market.accountant)
    preview = upload(client, row, "1,10.00,paid,", "2,20.00,returned,户名不符").location
    # Another file is taken in between: what it says already is said again, and stands last.
    client.post(upload(client, row, "1,10.00,paid,").location)
    page = client.get(preview).text
    assert ("记入 1 笔结果" in page, "户名不符" in page, "文件里少了 1 笔" in page, page.count("/results/") > 2) == (True, True, True, True)
    following = re.search(r'href="([^"]*after=[^"]*)"', page)
    assert following is not None
    second = client.get(following[1].replace("&amp;", "&")).text
    assert ("户名不符" in second, "已经记过，不变" in second, "after=" in second) == (False, True, False)
    narrowed = client.get(f"{preview}?view=back").text
    assert ("户名不符" in narrowed, "共 1 行" in narrowed) == (True, True)
    assert client.get(f"{preview}?view=elsewhere").status_code == 400
    assert client.get(f"{preview}?after=7-x").status_code == 200
    with counted() as said:
        client.get(preview)
    assert len(said) <= 9 and not repeated(said), said


def test_what_people_said_against_the_bank_is_counted_apart(app: Flask) -> None:
    market, distribution_id = posted()
    row, client = sent(market, distribution_id), browser(app, market.accountant)
    client.post(upload(client, row, "1,10.00,returned,销户").location)
    client.post(upload(client, row, "1,10.00,paid,").location)  # the director is asked
    preview = upload(client, row, "1,10.00,paid,", "2,20.00,paid,", "3,30.00,paid,").location
    page = client.get(preview).text
    assert ("记入 2 笔结果" in page, "请理事长核对" in client.get(f"{preview}?view=known").text) == (True, False)
    assert "共 1 行" in client.get(f"{preview}?view=known").text
    assert "共 2 行" in client.get(f"{preview}?view=paid").text


def test_a_short_file_is_read_while_the_page_waits(app: Flask) -> None:
    app.extensions["settings"] = replace(app.extensions["settings"], errand_households=5)
    schedule.known()
    market, distribution_id = posted()
    row, client = sent(market, distribution_id), browser(app, market.accountant)
    assert "/results/" in upload(client, row, *LINES).location
    assert upload(client, row, *LINES, "", "").location.startswith("/errands/"), "lines are counted as they stand there"
    assert db.session.query(Errand).count() == 1


def test_a_file_from_before_lines_were_kept_is_read_again_by_a_button(app: Flask) -> None:
    market, distribution_id = posted()
    row, client = sent(market, distribution_id), browser(app, market.accountant)
    preview = upload(client, row, *LINES).location
    with transaction():
        db.session.query(PayoutResultsLine).delete()
        db.session.query(PayoutResults).update({"read_at": None, "words": None})
    page = client.get(preview).text
    assert ("还没有读" in page, f"{preview}/read" in page, client.post(preview).status_code) == (True, True, 409)
    assert client.post(f"{preview}/read").location == preview
    assert "记入 3 笔结果" in client.get(preview).text
