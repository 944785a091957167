"""``flask log``: seal, head, prove, verify, rotate, export, by night or by hand; exit codes tell."""

import json
from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask

from marketplace.disclosure import log_key, tree_head
from marketplace.foundation.database import db
from marketplace.jobs import schedule
from marketplace.orders.order import Order
from marketplace.organisations.person import Person
from tests.builders_people import operator, person
from tests.disclosure.sealed import break_in, burglary, traded


@pytest.fixture
def token(app: Flask) -> str:
    """The receipt of a settled and paid order."""
    _, orders, _ = traded()
    return db.session.get_one(Order, orders[0]).receipt_token


def log(app: Flask, *words: str) -> Result:
    return app.test_cli_runner().invoke(args=["log", *words])


def test_from_sealing_to_verifying(app: Flask, token: str, tmp_path: Path) -> None:
    assert log(app, "head").output == "nothing to sign\n"
    assert log(app, "prove", token).exit_code == 1
    sealed = log(app, "seal")
    assert sealed.output.endswith("in all\n")
    assert log(app, "seal").output.startswith("0 leaves added")
    signed = log(app, "head")
    assert "fingerprint " in signed.output
    assert log(app, "head", "--if-due").output == "nothing to sign\n"
    assert log(app, "prove", token, "--out", str(tmp_path / "proof.json")).exit_code == 0
    assert json.loads((tmp_path / "proof.json").read_text())["settlement"]["index"] >= 0
    assert json.loads(log(app, "prove", token).output)["format"]
    assert log(app, "prove", "nothing").exit_code == 1
    newest = tree_head.newest()
    assert newest
    (tmp_path / "head.txt").write_text(newest.note)
    verified = log(app, "verify", "--head", str(tmp_path / "head.txt"), "--head", newest.short)
    assert (verified.exit_code, "2 from elsewhere: 0 broken" in verified.output) == (0, True)
    assert log(app, "export", str(tmp_path / "copies")).output.startswith("1 heads written")


def test_what_was_altered_is_named_and_the_exit_code_says_so(app: Flask, token: str) -> None:
    log(app, "seal")
    log(app, "head")
    with burglary():
        break_in("UPDATE journal_entry SET gross = gross + 1 WHERE id = 2")
    verified = log(app, "verify")
    assert verified.exit_code == 1
    assert "BROKEN entry 2 is not what was logged" in verified.output
    told = json.loads(log(app, "verify", "--json").output)
    assert (told["ok"], told["findings"]) == (False, [{"what": "entry", "which": "2", "wrong": "altered"}])
    assert log(app, "verify", "--head", "0" * 64).exit_code == 1


def test_only_the_administrator_rotates_the_key(app: Flask, token: str) -> None:
    logins = [db.session.get_one(Person, person(operator(), role).person_id).login for role in ("auditor", "administrator")]
    assert "no head yet" in log(app, "rotate", "--actor", logins[1]).output
    log(app, "seal")
    log(app, "head")
    assert log(app, "rotate", "--actor", logins[0]).exit_code == 1
    assert log(app, "rotate", "--actor", logins[1]).exit_code == 0
    assert len(log_key.all_keys()) == 2
    assert log(app, "verify").exit_code == 0


def test_the_jobs_do_it_by_themselves_and_twice_is_harmless(app: Flask, token: str) -> None:
    assert schedule.once(app, "log").endswith("logged")
    assert schedule.once(app, "log") == ""
    assert schedule.once(app, "head").startswith("head 1 over")
    assert schedule.once(app, "head") == ""
