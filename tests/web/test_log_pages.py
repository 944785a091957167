"""The log's pages and files are for everybody, say what is proven and what not, and tell nothing of any household."""

import json
from datetime import timedelta

from flask import Flask

from marketplace.disclosure import log_key, tree_head
from marketplace.disclosure.tree_check import Head, leaf_hash, must_be_consistent, tree_root
from marketplace.disclosure.verify_receipt import check
from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.households.household import Household
from marketplace.orders.order import Order
from marketplace.settlement import settlement
from tests import builders
from tests.disclosure.sealed import head, seal, traded
from tests.settlement.builders import order


def receipt_of(order_id: int) -> str:
    return f"/r/{db.session.get_one(Order, order_id).receipt_token}"


def test_before_the_first_head_the_page_says_what_will_come(app: Flask) -> None:
    stranger = app.test_client()
    assert "还没有封存过" in stranger.get("/log").text
    assert "还没有封存过" in stranger.get("/transparency").text
    assert json.loads(stranger.get("/log/heads.json").text) == {"keys": [], "heads": [], "next": None}
    assert stranger.get("/log/leaves/0.txt").text == ""
    assert stranger.get("/log/1").status_code == stranger.get("/log/1.txt").status_code == 404
    assert stranger.get("/log/99999999999999999999").status_code == 404


def test_a_receipt_waits_for_its_seal_and_then_is_proven(app: Flask) -> None:
    order_id = order(builders.market(), 10_000)
    stranger, address = app.test_client(), receipt_of(order_id)
    assert "等待封存" not in stranger.get(address).text, "not divided yet: there is nothing to seal"
    transaction(lambda: settlement.settle(order_id))
    assert "等待封存" in stranger.get(address).text
    assert stranger.get(f"{address}/proof.json").status_code == 409
    seal()
    page = stranger.get(address).text
    assert "等待封存" in page and "账已证明" not in page
    short = head().short
    page = stranger.get(address).text
    assert "账已证明" in page and "等待封存" not in page and short in page
    assert f"{address}/proof.json" in page and "/log/verify_receipt.py" in page

    answer = stranger.get(f"{address}/proof.json")
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    assert (answer.headers["Cache-Control"], answer.headers["X-Robots-Tag"]) == ("private, no-store", "noindex, nofollow")
    key = bytes.fromhex(log_key.all_keys()[0].public_key)
    assert [code for code, _ in check(json.loads(answer.text), head=short, key=key)] == ["head", "settled", "withheld"]
    assert stranger.get(f"{address}/proof.json?since=nonsense").status_code == 200
    assert stranger.get(f"{address}/proof.json?since=44").status_code == 404
    assert stranger.get("/r/nothing/proof.json").status_code == stranger.get("/r/nothing/slip").status_code == 404


def test_a_slip_carries_the_newest_heads_fingerprint_and_key(app: Flask) -> None:
    order_id = order(builders.market(), 10_000)
    stranger, address = app.test_client(), receipt_of(order_id)
    assert "总账还没有封存过" in stranger.get(f"{address}/slip").text
    transaction(lambda: settlement.settle(order_id))
    seal()
    row = head()
    page = stranger.get(f"{address}/slip").text
    assert row.short in page
    assert log_key.written(tree_head.origin_of(row), log_key.all_keys()[0].public_key) in page
    assert "账已证明" in page and "¥100.00" in page and "data:image/svg" in page


def test_heads_and_leaves_are_enough_to_watch_the_log(app: Flask) -> None:
    """A watcher with nothing but the public files checks every head and computes every root."""
    stranger = app.test_client()
    for day, fen in enumerate((10_000, 7_777, 4_321)):
        transaction(lambda fen=fen: settlement.settle(order(builders.market(), fen)))  # type: ignore[misc]
        seal()
        with clock.travel(clock.now() + timedelta(days=day)):
            head()
    told = json.loads(stranger.get("/log/heads.json").text)
    leaves = [bytes.fromhex(line) for line in stranger.get("/log/leaves/0.txt").text.splitlines()]
    key = bytes.fromhex(told["keys"][0]["public_key"])
    older = None
    for each in told["heads"]:
        its = Head.read(each["note"])
        assert its.note.signed_by(key)
        assert its.root == tree_root(leaves[: its.size])
        if older:
            must_be_consistent(older.size, older.root, its.size, its.root, [bytes.fromhex(hashed) for hashed in each["consistency"]])
        older = its
        page = stranger.get(f"/log/{its.number}").text
        assert each["fingerprint"] in page.replace(" ", "")
        assert stranger.get(f"/log/{its.number}.txt").text == each["note"]
    assert [each["number"] for each in json.loads(stranger.get("/log/heads.json?after=2").text)["heads"]] == [3]
    assert stranger.get("/log/leaves/999999.txt").text == ""
    listed = stranger.get("/log").text
    assert all(f'href="/log/{number}"' in listed for number in (1, 2, 3))
    assert 'href="/log/1"' in stranger.get("/log?before=2").text and 'href="/log/2"' not in stranger.get("/log?before=2").text.split("<table")[1]


def test_nothing_public_tells_of_a_household_or_a_buyer(app: Flask) -> None:
    traded()
    seal()
    head()
    stranger = app.test_client()
    told = "".join(stranger.get(path).text for path in ("/log", "/log/1", "/log/1.txt", "/log/heads.json", "/log/leaves/0.txt", "/transparency"))
    for word in ("王小明", "测", "JA-TEST", "household:", "linkage_group"):
        assert word not in told
    leaves = {bytes.fromhex(line) for line in stranger.get("/log/leaves/0.txt").text.splitlines()}
    assert leaf_hash(b"") not in leaves
    assert stranger.get("/log/verify_receipt.py").text.startswith("#!/usr/bin/env python3\n")


def test_a_household_downloads_its_own_lines(app: Flask) -> None:
    traded()
    seal()
    newest = head().fingerprint
    household = db.session.query(Household).order_by(Household.id).first()
    assert household
    answer = app.test_client().get(f"/h/{household.statement_token}/proof.json")
    assert answer.headers["Cache-Control"] == "private, no-store"
    proven = check(json.loads(answer.text), head=newest, key=bytes.fromhex(log_key.all_keys()[0].public_key))
    assert {code for code, _ in proven} == {"head", "own_line"}
    assert app.test_client().get("/h/nothing/proof.json").status_code == 404
