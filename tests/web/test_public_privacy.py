"""What anybody may read names no household: neither by name, nor by the number of an identity card or of an account at the bank."""

import io
import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from html import unescape
from pathlib import Path

from flask import Flask
from sqlalchemy import select

from marketplace.foundation.database import db
from marketplace.households.household import Household
from marketplace.orders.order import Order
from tests.seeded import seeded_folder
from tests.traded import opened, traded_folders

__all__ = ["seeded_folder", "traded_folders"]

MOST = 8  # pages of one route: each shows the same kind of thing
# Opened by a secret of one household's own, which only that household is given; and what asks for one.
OF_ONE_HOUSEHOLD = ("/h/", "/invitation/")


def test_nobody_is_named_to_everybody(traded_folders: dict[str, Path]) -> None:
    app = opened(traded_folders["many"])
    with app.app_context():
        households = list(db.session.scalars(select(Household)))
        receipts = [f"/r/{token}" for token in db.session.scalars(select(Order.receipt_token).where(Order.paid_fen > 0).limit(MOST))]
        secrets = _secrets(households)
        told, walked = [], Counter[str]()
        for rule, path, words in _walk(app, ["/", *receipts]):
            walked[rule] += 1
            told += [(path, what) for secret, what in secrets.items() if secret in words]
        db.session.remove()
        db.engine.dispose()
    assert len(secrets) > 3 * 2000
    assert not told, "\n".join(f"{path}: {what}" for path, what in told)
    assert walked["/r/<token>"] == MOST
    assert walked["/goods/<slug>"] == MOST
    assert sum(walked.values()) > 60
    assert len(walked) > 20


def _secrets(households: list[Household]) -> dict[str, str]:
    """What must not be read → whose it is, and what."""
    sealed = ("name", "id_number", "bank_account", "alipay_account", "payee_name", "payee_id_number")
    return {getattr(each, what): f"{what} of household {each.id}" for each in households for what in sealed if getattr(each, what)}


def _walk(app: Flask, paths: list[str]) -> Iterator[tuple[str, str, str]]:
    """(route, path, what is read there) of every public page that can be come to by links from these, and from what has no parameter."""
    public = {
        rule.rule: rule
        for rule in app.url_map.iter_rules()
        if "GET" in rule.methods and getattr(app.view_functions.get(rule.endpoint), "permission", "") == "public"
    }
    todo, seen, walked = [*paths, *(rule for rule in public if "<" not in rule)], set[str](), Counter[str]()
    adapter, browser = app.url_map.bind("localhost"), app.test_client()
    while todo:
        path = todo.pop(0).partition("#")[0]
        if path in seen or path.startswith(OF_ONE_HOUSEHOLD):
            continue
        seen.add(path)
        bare, _, _query = path.partition("?")
        if not adapter.test(bare, "GET"):
            continue
        rule = adapter.match(bare, "GET", return_rule=True)[0].rule
        if rule not in public or walked[rule] == MOST:
            continue
        answer = browser.get(path)
        if answer.status_code != 200:
            continue
        walked[rule] += 1
        words = _read(answer.data)
        yield rule, path, words
        todo += [unescape(link) for link in re.findall(r'(?:href|src)="(/[^"]*)"', words)]


def _read(data: bytes) -> str:
    """The text of a page or a file; of a workbook or another archive, of everything in it."""
    if data.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return "\n".join(archive.read(name).decode("utf-8", "replace") for name in archive.namelist())
    return data.decode("utf-8", "replace")
