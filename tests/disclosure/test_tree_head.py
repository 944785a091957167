"""A head a day, sent to whoever keeps it; keys from configuration are introduced one by the other, or nothing is signed."""

import base64
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from marketplace.disclosure import log_check, log_export, log_key, tree_head
from marketplace.disclosure.tree_check import Head
from marketplace.foundation import clock, outbox
from marketplace.foundation.config import BadConfiguration
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, NotFound, OutsideFailure
from marketplace.foundation.outbox import OutboxMessage
from tests.disclosure.sealed import head, seal
from tests.disclosure.test_log import pay
from tests.ledger import account_book

OLD, NEW = (base64.b64encode(letter * 32).decode() for letter in (b"o", b"n"))


@contextmanager
def configured(app: Flask, **changed: Any) -> Iterator[None]:
    before = app.extensions["settings"]
    app.extensions["settings"] = replace(before, **changed)
    try:
        yield
    finally:
        app.extensions["settings"] = before


@pytest.fixture
def logged(app: Flask) -> None:
    """Three entries with their leaves."""
    own = account_book.opened()
    for number in (1, 2, 3):
        with transaction():
            pay(own, number)
    seal()


def test_nothing_logged_nothing_signed(app: Flask) -> None:
    assert transaction(tree_head.publish) is None
    with pytest.raises(NotFound):
        tree_head.numbered(1)


def test_one_is_due_when_a_beijing_day_has_begun(logged: None) -> None:
    assert tree_head.due()
    day = clock.business_date()
    with clock.travel(clock.beijing_midnight(day) + timedelta(minutes=1)):
        head()
        assert not tree_head.due()
    with clock.travel(clock.beijing_midnight(day) + timedelta(hours=23, minutes=59)):
        assert not tree_head.due()
    with clock.travel(clock.beijing_midnight(day + timedelta(days=1))):
        assert tree_head.due()


def test_each_auditor_gets_each_head_once(app: Flask, logged: None) -> None:
    with configured(app, log_auditors="first@audit.example, second@audit.example,"):
        row = head()
    waiting = db.session.scalars(select(OutboxMessage).where(OutboxMessage.kind == "mail").order_by(OutboxMessage.key)).all()
    assert [each.payload["to"] for each in waiting] == ["first@audit.example", "second@audit.example"]
    assert all(Head.read(each.payload["text"]).note.fingerprint == row.fingerprint for each in waiting)
    assert row.short in waiting[0].payload["subject"]


def test_a_folder_outside_gets_every_head_and_keeps_the_older_witness(app: Flask, logged: None, tmp_path: Path) -> None:
    folder = tmp_path / "copies"
    first = head().note
    with configured(app, log_export_dir=str(folder)), clock.travel(clock.now() + timedelta(days=1)):
        second = head().note
        assert outbox.drain(kinds={"log.export"}) == (1, 0)
    assert [(folder / f"{number:06d}.txt").read_text() for number in (1, 2)] == [first, second]
    assert json.loads((folder / "000002.json").read_text())["note"] == second
    (folder / "000001.txt").write_text("what was published then")
    assert log_export.write(folder) == 0
    assert (folder / "000001.txt").read_text() == "what was published then"
    (tmp_path / "a file").write_text("")
    with pytest.raises(OutsideFailure):
        log_export.write(tmp_path / "a file")


def test_a_clone_of_a_repository_gets_a_commit_that_is_pushed(logged: None, tmp_path: Path) -> None:
    def git(folder: Path, *words: str) -> str:
        said = subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True, text=True)
        return said.stdout.strip()

    remote, clone = tmp_path / "remote.git", tmp_path / "clone"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(remote)], check=True)
    subprocess.run(["git", "clone", "-q", str(remote), str(clone)], check=True, capture_output=True)
    for key, value in (("user.name", "Log"), ("user.email", "log@market.example"), ("push.autoSetupRemote", "true")):
        git(clone, "config", key, value)
    row = head()
    assert log_export.write(clone) == 1
    assert row.fingerprint in git(remote, "log", "-1", "--format=%s")
    assert git(remote, "show", "HEAD:000001.txt") == row.note.strip()


def test_a_key_from_the_configuration_is_not_in_the_database(app: Flask, logged: None) -> None:
    with configured(app, log_key=OLD):
        row = head()
    (key,) = log_key.all_keys()
    assert (key.seed_sealed, key.id) == ("", row.key_id)
    assert Head.read(row.note).note.signed_by(bytes.fromhex(key.public_key))
    with pytest.raises(Conflict, match=r"log\.key"):
        head()  # LOG_KEY is gone, and nothing else can sign


def test_a_new_key_is_introduced_by_the_old_one_behind_it_or_not_at_all(app: Flask, logged: None) -> None:
    with configured(app, log_key=OLD):
        head()
    with configured(app, log_key=NEW), pytest.raises(Conflict, match=r"log\.key"):
        head()
    assert len(log_key.all_keys()) == 1
    with configured(app, log_key=f"{NEW}, {OLD}"), clock.travel(clock.now() + timedelta(days=1)):
        head()
    with configured(app, log_key=NEW), clock.travel(clock.now() + timedelta(days=2)):
        head()
    assert [each.key_id for each in reversed(tree_head.page())] == [1, 2, 2]
    assert log_check.check().findings == []


def test_from_a_sealed_key_to_one_in_the_configuration(app: Flask, logged: None) -> None:
    head()
    with configured(app, log_key=NEW), clock.travel(clock.now() + timedelta(days=1)):
        head()
    assert [bool(each.seed_sealed) for each in log_key.all_keys()] == [True, False]
    assert log_check.check().findings == []


@pytest.mark.parametrize("wrong", ["short", "AAAA", "!" * 44])
def test_a_key_that_is_none_is_said(app: Flask, logged: None, wrong: str) -> None:
    with configured(app, log_key=wrong), pytest.raises(BadConfiguration, match="LOG_KEY"):
        head()
