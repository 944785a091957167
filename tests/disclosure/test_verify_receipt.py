"""The downloaded script stands alone, proves what the books say, refuses everything that was bent, and names nobody."""

import copy
import json
import random
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from marketplace.disclosure import (
    benefit_receipt,
    household_key,
    log_key,
    log_proof,
    receipt_proof,
    receipt_script,
    tree_head,
)
from marketplace.disclosure.tree_check import NotProven, read_key
from marketplace.disclosure.verify_receipt import WORDS, check, words
from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, NotFound
from marketplace.households.household import Household
from marketplace.orders.order import Order
from marketplace.settlement import payout_batch, settlement
from marketplace.settlement.payout_batch import PayoutBatch
from tests import builders
from tests.builders_people import operator, person
from tests.disclosure.sealed import head, seal, traded
from tests.disclosure.test_benefit_receipt import distribute
from tests.settlement.builders import order
from tests.settlement.test_recovery import refunded


def token_of(order_id: int) -> str:
    return db.session.get_one(Order, order_id).receipt_token


def key() -> bytes:
    return bytes.fromhex(log_key.all_keys()[0].public_key)


def proof_of(order_id: int, **since: int) -> dict[str, Any]:
    """As it comes out of the file."""
    return json.loads(json.dumps(receipt_proof.for_token(token_of(order_id), **since)))  # type: ignore[no-any-return]


def codes(proof: dict[str, Any], head_given: str, with_key: bytes | None = None) -> list[str]:
    return [code for code, _ in check(proof, head=head_given, key=with_key or key())]


@pytest.fixture
def sold(app: Flask) -> list[int]:
    """Orders of a market of eight households, settled, distributed, paid, logged and sealed."""
    _, orders, _ = traded(10_000, 7_777, 4_321, members=5)
    seal()
    head()
    return orders


def test_the_chain_from_settlement_to_the_banks_file(sold: list[int]) -> None:
    newest = tree_head.newest()
    assert newest
    for each in sold:
        proven = dict(check(proof_of(each), head=newest.fingerprint, key=key()))
        assert list(proven) == ["head", "settled", "withheld", "distributed", "payout"]
    assert proven["head"]["size"] == newest.size
    assert proven["distributed"]["entries"] == 3
    assert proven["distributed"]["households"] == proven["payout"]["households"] == 8
    assert proven["distributed"]["total"] == proven["payout"]["total"] == "¥44.19"


def test_the_head_may_be_a_fingerprint_its_beginning_or_the_note(sold: list[int]) -> None:
    newest = tree_head.newest()
    assert newest
    for given in (newest.fingerprint, newest.short, newest.short.upper(), newest.note):
        assert codes(proof_of(sold[0]), given)[0] == "head"
    for given in ("", "abcd", "0" * 64, newest.fingerprint[:15], newest.fingerprint + "0", "not a fingerprint"):
        with pytest.raises(NotProven):
            codes(proof_of(sold[0]), given)


def test_an_older_head_on_a_slip_is_connected_with_the_newest(app: Flask) -> None:
    traded(5_000)
    seal()
    slip = head().fingerprint
    order_id = order(builders.market(name="另一个合作社"), 8_000)
    transaction(lambda: settlement.settle(order_id))
    seal()
    with clock.travel(clock.now() + timedelta(days=1)):
        head()
    with pytest.raises(NotProven, match="other_head"):
        codes(proof_of(order_id), slip)
    assert codes(proof_of(order_id, since=1), slip)[:3] == ["head", "since", "settled"]
    with pytest.raises(NotProven, match="signature"):
        codes(proof_of(order_id, since=1), slip, bytes(31) + b"\x01")


def test_an_old_key_leads_to_the_new_one(sold: list[int]) -> None:
    first = key()
    admin = person(operator(), "administrator")
    newest = tree_head.newest()
    assert newest
    origin = tree_head.origin_of(newest)
    for days in (1, 2):
        transaction(lambda: log_key.rotate(origin, actor=admin))
        with clock.travel(clock.now() + timedelta(days=days)):
            latest = head().fingerprint
    proof = proof_of(sold[0])
    assert codes(proof, latest, first)[0] == "head"
    assert codes(proof, latest, bytes.fromhex(log_key.all_keys()[2].public_key))[0] == "head"
    proof["keys"][1] = proof["keys"][1].replace("at 2", "at 3")
    with pytest.raises(NotProven, match="key_statement"):
        codes(proof, latest, first)
    with pytest.raises(NotProven, match="signature"):
        codes(proof | {"keys": []}, latest, first)


def test_whatever_is_bent_proves_nothing(sold: list[int]) -> None:
    """Every value of the proof, one at a time, becomes another one."""
    newest = tree_head.newest()
    assert newest
    proof = proof_of(sold[1])
    places = list(_places(proof))
    assert len(places) > 60
    chance = random.Random(1)
    for place in places:
        bent = copy.deepcopy(proof)
        inner: Any = bent
        for step in place[:-1]:
            inner = inner[step]
        inner[place[-1]] = _bent(inner[place[-1]], chance)
        with pytest.raises(NotProven):
            codes(bent, newest.fingerprint)


def given_back(order_id: int, fen: int) -> None:
    """Some of it goes back, a day later; logged and sealed."""
    refunded(order_id, fen)
    seal()
    with clock.travel(clock.now() + timedelta(days=1)):
        head()


def test_a_refund_is_in_the_proof_and_what_it_left_is_told(app: Flask) -> None:
    """Given back before the distribution, one of two orders has a part of nothing in it; what is told of it is what is left."""
    market = builders.market()
    builders.members(market.group, (1, 2, 3, 4, 5))
    gone, kept = (order(market, fen) for fen in (10_000, 5_000))
    period = {transaction(lambda number=each: settlement.settle(number)).period for each in (gone, kept)}.pop()
    refunded(gone, 10_000)
    distribute(market, period)
    refunded(kept, 2_500)
    seal()
    newest = head()
    proof = proof_of(gone)
    proven = check(proof, head=newest.fingerprint, key=key())
    assert [code for code, _ in proven] == ["head", "settled", "withheld", "given_back", "kept", "distributed"]
    told = dict(proven)
    assert told["given_back"]["gross"] == "¥100.00"
    assert {name: fen for name, fen in told["kept"].items() if fen != "¥0.00"} == {}
    assert (told["distributed"]["part"], told["distributed"]["settled"], told["distributed"]["total"]) == ("¥0.00", "¥10.00", "¥10.00")
    told = dict(check(proof_of(kept), head=newest.fingerprint, key=key()))
    assert (told["kept"]["cooperative"], told["distributed"]["part"]) == ("¥17.50", "¥10.00")
    assert market.group


def test_a_refund_that_is_not_sealed_yet_holds_up_the_proof_and_the_stamp(sold: list[int]) -> None:
    assert benefit_receipt.for_token(token_of(sold[0])).seal is not None
    refunded(sold[0], 1_000)
    with pytest.raises(log_proof.Unsealed):
        proof_of(sold[0])
    assert benefit_receipt.for_token(token_of(sold[0])).seal is None
    seal()
    with clock.travel(clock.now() + timedelta(days=1)):
        newest = head()
    assert "given_back" in codes(proof_of(sold[0]), newest.fingerprint)
    assert benefit_receipt.for_token(token_of(sold[0])).seal is not None


def test_a_refund_bent_doubled_or_of_another_order_proves_nothing(sold: list[int]) -> None:
    given_back(sold[0], 1_000)
    with clock.travel(clock.now() + timedelta(days=2)):
        refunded(sold[1], 500)
        seal()
        newest = head()
    proof, other = proof_of(sold[0]), proof_of(sold[1])
    chance = random.Random(2)
    for place in _places(proof["refunds"]):
        bent = copy.deepcopy(proof)
        inner: Any = bent["refunds"]
        for step in place[:-1]:
            inner = inner[step]
        inner[place[-1]] = _bent(inner[place[-1]], chance)
        with pytest.raises(NotProven):
            codes(bent, newest.fingerprint)
    for wrong in (proof["refunds"] * 2, other["refunds"], proof["refunds"] + other["refunds"], [proof["settlement"]], [{}]):
        with pytest.raises(NotProven):
            codes(proof | {"refunds": wrong}, newest.fingerprint)


def _places(value: Any, path: tuple[Any, ...] = ()) -> Any:
    if isinstance(value, dict | list):
        for step, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _places(inner, (*path, step))
    else:
        yield path


def _bent(value: Any, chance: random.Random) -> Any:
    if isinstance(value, str) and value:
        # Not the case of hexadecimal digits, which says the same; not beyond what a note signs.
        place = chance.randrange(min(len(value), 60))
        return value[:place] + ("b" if value[place] != "b" else "c") + value[place + 1 :]
    return {"other": 1} if value is None else value + 1 if isinstance(value, int) else "x"


@pytest.mark.parametrize(
    "junk",
    [{}, {"format": "county-market-proof-1"}, {"format": 1}, {"head": None}, {"settlement": []}, {"settlement": {}}, {"distributions": [{}]}, {"lines": 5},
     {"keys": [1]}, {"keys": "x"}, {"since": 3}, {"head": "x" * 5000}, {"lines": [{}]}],
)  # fmt: skip
def test_junk_is_not_proven_and_never_a_crash(sold: list[int], junk: dict[str, Any]) -> None:
    newest = tree_head.newest()
    assert newest
    for proof in (junk, proof_of(sold[0]) | junk):
        if junk != {} and proof != proof_of(sold[0]):
            with pytest.raises(NotProven):
                codes(proof, "f" * 64 if "since" in junk else newest.fingerprint)


def test_nothing_to_prove_or_not_yet(app: Flask) -> None:
    order_id = order(builders.market(), 10_000)
    with pytest.raises(Conflict, match=r"log\.nothing"):
        proof_of(order_id)
    transaction(lambda: settlement.settle(order_id))
    with pytest.raises(log_proof.Unsealed):
        proof_of(order_id)
    seal()
    with pytest.raises(log_proof.Unsealed):
        proof_of(order_id)
    head()
    assert len(proof_of(order_id)["settlement"]["lines"]) == 5
    with pytest.raises(NotFound):
        receipt_proof.for_token("nothing")
    with pytest.raises(NotFound):
        receipt_proof.for_token(token_of(order_id), since=7)


def test_no_household_no_buyer_and_no_small_group_is_in_a_proof(app: Flask) -> None:
    """A group of three: its lines and its village's are fingerprints, and nothing tells how many they are or what one got."""
    market, orders, _ = traded()
    seal()
    newest = head()
    proof = proof_of(orders[0])
    told = json.dumps(proof, ensure_ascii=False)
    for word in ("王小明", "测", "JA-TEST", "linkage_group", "village:", "household:", "receipt-"):
        assert word not in told
    assert [each.get("line", {}).get("kind") for each in proof["settlement"]["lines"]] == ["buyer_funds", "revenue", None, None, "relief_fund"]
    (distribution,) = proof["distributions"]
    assert distribution["header"]["households"] is None
    (payout,) = distribution["payouts"]
    assert [payout["header"][name] for name in ("households", "total_fen", "file_sha256")] == [None, None, None]
    proven = dict(check(proof, head=newest.fingerprint, key=key()))
    assert proven["withheld"] == {"lines": 2, "fen": "¥26.00"}
    assert proven["distributed"]["households"] == proven["payout"]["households"] == "<5"
    assert market.group


def test_a_reissue_to_one_household_tells_neither_sum_nor_file(sold: list[int]) -> None:
    first = db.session.query(PayoutBatch).one()
    director, accountant = person(first.organisation_id, "director"), person(first.organisation_id, "accountant")
    first_id = first.id
    again = transaction(lambda: payout_batch.reissue(first_id, actor=accountant))
    transaction(lambda: payout_batch.approve(again.id, actor=director, version=1))
    transaction(lambda: payout_batch.mark_sent(again.id, actor=accountant))
    seal()
    with clock.travel(clock.now() + timedelta(days=1)):
        newest = head()
    proof = proof_of(sold[0])
    one, two = proof["distributions"][0]["payouts"]
    assert one["header"]["households"] == 8
    assert [two["header"][name] for name in ("households", "total_fen", "file_sha256")] == [None, None, None]
    assert codes(proof, newest.fingerprint).count("payout") == 2


def test_a_household_opens_its_own_lines_only(sold: list[int]) -> None:
    newest = tree_head.newest()
    assert newest
    households = db.session.query(Household).order_by(Household.id).all()
    proof = json.loads(json.dumps(receipt_proof.for_household(households[1].statement_token)))
    proven = check(proof, head=newest.fingerprint, key=key())
    assert [code for code, _ in proven] == ["head", "own_line", "own_line"]
    other = receipt_proof.for_household(households[2].statement_token)
    proof["lines"][0]["opening"]["key"] = other["lines"][0]["opening"]["key"]
    with pytest.raises(NotProven):
        codes(proof, newest.fingerprint)
    with pytest.raises(NotFound):
        receipt_proof.for_household("nothing")


def test_lines_under_a_key_that_was_destroyed_are_left_out_and_told(app: Flask) -> None:
    """January under one key; it is destroyed; what is logged in February has a new one."""
    market, _, _ = traded(10_000)
    seal()
    head()
    household = db.session.get_one(Household, market.households[1])
    token, before = household.statement_token, len(receipt_proof.for_household(household.statement_token)["lines"])
    admin = person(operator(), "administrator")
    transaction(lambda: household_key.destroy(market.households[1], actor=admin, reason="本人申请删除"))
    with pytest.raises(Conflict, match=r"log\.closed"):
        receipt_proof.for_household(token)
    assert receipt_proof.closed_to(token) == before
    again = order(market, 9_000)
    distribute(market, transaction(lambda: settlement.settle(again)).period)
    seal()
    with clock.travel(clock.now() + timedelta(days=1)):
        newest = head()
    proof = json.loads(json.dumps(receipt_proof.for_household(token)))
    assert (len(proof["lines"]), proof["closed"], receipt_proof.closed_to(token)) == (1, before, before)
    proven = check(proof, head=newest.fingerprint, key=key())
    assert ([code for code, _ in proven], proven[-1][1]) == (["head", "own_line", "closed"], {"lines": before})
    assert f"{before} 行" in app.test_client().get(f"/h/{token}").text
    assert "另有" in words("closed", proven[-1][1], english=False)
    proof["closed"] = "all"
    with pytest.raises(NotProven):
        codes(proof, newest.fingerprint)


def run(tmp_path: Path, *arguments: str) -> tuple[int, str]:
    """The script as people run it: alone in a folder, and without our environment."""
    (tmp_path / "verify_receipt.py").write_text(receipt_script.text(), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-I", "-S", "verify_receipt.py", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False, encoding="utf-8",
        env={"PYTHONIOENCODING": "utf-8", "PYTHONUTF8": "1"},
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_the_script_stands_alone_and_says_what_is_proven_and_what_not(sold: list[int], tmp_path: Path) -> None:
    newest = tree_head.newest()
    assert newest
    (tmp_path / "proof.json").write_text(json.dumps(proof_of(sold[0])))
    (tmp_path / "head.txt").write_text(newest.note)
    written = log_key.written(tree_head.origin_of(newest), key().hex())
    code, said = run(tmp_path, "proof.json", "--head", newest.short, "--key", key().hex())
    assert (code, "已证明" in said, "这不能证明" in said) == (0, True, True)
    code, said = run(tmp_path, "proof.json", "--head", "head.txt", "--key", written, "--en")
    assert (code, "Proven:" in said, "does not prove that the money arrived" in said) == (0, True, True)
    code, said = run(tmp_path, "proof.json", "--head", "0" * 64, "--key", written, "--en")
    assert (code, said.startswith("NOT proven:")) == (1, True)
    (tmp_path / "proof.json").write_text("{")
    assert run(tmp_path, "proof.json", "--head", newest.short, "--key", written)[0] == 2
    assert run(tmp_path, "proof.json", "--head", newest.short)[0] == 2
    assert run(tmp_path, "missing.json", "--head", newest.short, "--key", "xy")[0] == 2


def test_every_sentence_can_be_said_in_both_languages(sold: list[int]) -> None:
    newest = tree_head.newest()
    assert newest
    for code, data in check(proof_of(sold[0]), head=newest.fingerprint, key=read_key(key().hex())):
        for english in (False, True):
            assert "{" not in words(code, data, english=english)
    assert all(len(each) == 2 for each in WORDS.values())
