"""A cooperative's card payments go to its own account: Stripe itself says whose a key is, when it is added and when it is switched to."""

from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.jobs import payments as jobs
from marketplace.payments import channel_key, key_material, key_owner
from marketplace.payments.channel_key import ChannelKey
from marketplace.reporting import money_alarm, money_health
from tests import builders
from tests.builders import Market
from tests.payments.keys_seen import add_stripe, confirm, owned, seen, seen_key, switch
from tests.payments.stripe_counter import Counter
from tests.web.work_desk import browser

OURS, THIEFS = "acct_1TeaCooperative", "acct_1Accountant00"
KEY, STOLEN = "sk_test_cooperative0123", "sk_test_accountant0123"
GIVEN = {"account": OURS, "secret_key": KEY, "webhook_secret": "whsec_cooperative_0123456789"}


@pytest.fixture
def market(app: Flask) -> Market:
    return builders.market()


def keys(market: Market) -> list[ChannelKey]:
    db.session.rollback()
    return list(channel_key.history(market.cooperative))


@pytest.mark.both
def test_an_accountant_does_not_send_the_cooperatives_payments_to_an_account_of_their_own(app: Flask, market: Market, stripe_says: Counter) -> None:
    """The attack: the cooperative's account and webhook with a secret key of one's own; the director sees the webhook's end in the console,
    and confirms."""
    stripe_says.says = {KEY: OURS, STOLEN: THIEFS}
    one, two = browser(app, market.accountant), browser(app, market.director)
    refused = one.post("/keys/stripe", data=GIVEN | {"secret_key": STOLEN})
    assert (refused.status_code, "另一个账户" in refused.text, STOLEN in refused.text, keys(market)) == (422, True, False, [])
    with pytest.raises(InvalidInput, match=r"key\.other_account"), transaction():
        key_material.add_stripe(market.cooperative, **(GIVEN | {"secret_key": STOLEN}), owned=owned(THIEFS, STOLEN), actor=market.accountant)
    with pytest.raises(Conflict, match=r"key\.unasked"), transaction():  # what Stripe said of another key
        key_material.add_stripe(market.cooperative, **(GIVEN | {"secret_key": STOLEN}), owned=owned(OURS, KEY), actor=market.accountant)
    assert keys(market) == []

    assert one.post("/keys/stripe", data=GIVEN).status_code == 303
    (row,) = keys(market)
    path, form = f"/keys/{row.public_id}", {"version": "1", "seen": seen(row)}
    asked = two.get(f"{path}/confirm").text
    assert (OURS in asked, KEY[-4:] in asked, GIVEN["webhook_secret"][-4:] in asked) == (True, False, False), "what is typed is read elsewhere"
    for wrong in ({}, {"seen_key": STOLEN[-5:-1]}, {"seen_key": seen(row)}):
        assert two.post(f"{path}/confirm", data=form | wrong).status_code == 422
    assert two.post(f"{path}/confirm", data=form | {"seen_key": seen_key(row)}).status_code == 303
    assert two.post(f"{path}/switch", data={"version": "2"}).status_code == 303
    assert stripe_says.asked == ["/v1/account"] * 3
    assert [each.state for each in keys(market)] == ["CURRENT"]


@pytest.mark.parametrize(("fault", "status", "says"), [("unknown", 422, "不认这把密钥"), ("restricted", 422, "rk_"), ("down", 503, "过一会儿再试"), ("junk", 503, "过一会儿再试")])
def test_a_key_of_which_stripe_does_not_say_whose_it_is_is_not_kept_and_not_switched_to(
    app: Flask, market: Market, stripe_says: Counter, fault: str, status: int, says: str
) -> None:
    stripe_says.says = {KEY: fault}
    one, two = browser(app, market.accountant), browser(app, market.director)
    refused = one.post("/keys/stripe", data=GIVEN)
    assert (refused.status_code, says in refused.text, OURS in refused.text, keys(market)) == (status, True, True, [])
    key_id = transaction(lambda: add_stripe(market.cooperative, **GIVEN, actor=market.accountant).id)
    transaction(lambda: confirm(key_id, actor=market.director))
    (row,) = keys(market)
    path = f"/keys/{row.public_id}/switch"
    refused = two.post(path, data={"version": "2"})
    assert (refused.status_code, says in refused.text, [each.state for each in keys(market)]) == (status, True, ["ADDED"])
    stripe_says.says = {KEY: THIEFS}
    refused = two.post(path, data={"version": "2"})
    assert (refused.status_code, "另一个账户" in refused.text, [each.state for each in keys(market)]) == (422, True, ["ADDED"])
    stripe_says.says = {KEY: OURS}
    assert two.post(path, data={"version": "2"}).status_code == 303
    assert [each.state for each in keys(market)] == ["CURRENT"]


def test_nobody_switches_without_asking_nor_asks_while_holding_the_database(app: Flask, market: Market) -> None:
    key_id = transaction(lambda: add_stripe(market.cooperative, **GIVEN, actor=market.accountant).id)
    transaction(lambda: confirm(key_id, actor=market.director))
    for said in (None, owned(OURS, STOLEN)):
        with pytest.raises(Conflict, match=r"key\.unasked"), transaction():
            channel_key.switch(key_id, owned=said, actor=market.director)
    with pytest.raises(RuntimeError), transaction():
        key_owner.ask(KEY)


def test_keys_that_were_added_before_are_asked_about_by_a_command(app: Flask, market: Market, stripe_says: Counter) -> None:
    other = builders.market(name="宝峰油茶合作社")
    for each, given in ((market, GIVEN), (other, GIVEN | {"account": "acct_1Camellia000", "secret_key": STOLEN})):
        key_id = transaction(lambda m=each, g=given: add_stripe(m.cooperative, **g, actor=m.accountant).id)  # type: ignore[misc]
        transaction(lambda n=key_id, m=each: confirm(n, actor=m.director))  # type: ignore[misc]
        transaction(lambda n=key_id, m=each: switch(n, actor=m.director))  # type: ignore[misc]
    stripe_says.says = {KEY: OURS, STOLEN: THIEFS}
    done = app.test_cli_runner().invoke(args=["key", "check"])
    assert done.exit_code == 1
    ours, theirs = done.output.splitlines()
    assert (ours.endswith("ok"), "key.other_account" in theirs, STOLEN in done.output) == (True, True, False)
    stripe_says.says[STOLEN] = "acct_1Camellia000"
    assert app.test_cli_runner().invoke(args=["key", "check"]).exit_code == 0


def wrong(market: Market) -> list[tuple[str, str, int | None]]:
    db.session.rollback()
    rows = [(row.account, row.wrong_code, row.organisation_id) for row, *_rest in money_health.rows("keys")]
    assert [each.organisation_id for each in money_alarm.frequent() if each.name == "keys"] == [owner for _account, _code, owner in rows]
    return rows


def in_use(market: Market, **changed: str) -> int:
    key_id = transaction(lambda: add_stripe(market.cooperative, **(GIVEN | changed), actor=market.accountant).id)
    transaction(lambda: confirm(key_id, actor=market.director))
    transaction(lambda: switch(key_id, actor=market.director))
    return key_id


@pytest.mark.both
def test_every_day_stripe_is_asked_whose_the_keys_in_use_are(app: Flask, market: Market, stripe_says: Counter) -> None:
    in_use(market)
    stripe_says.says = {KEY: OURS}
    assert (jobs.keys(), wrong(market)) == ("", [])
    stripe_says.says = {KEY: "down"}  # no answer says nothing
    assert (jobs.keys(), wrong(market)) == ("", [])
    stripe_says.says = {KEY: THIEFS}
    assert jobs.keys() == "1 keys are not as they should be"
    assert wrong(market) == [(OURS, "key.other_account", market.cooperative)]
    since = keys(market)[0].wrong_since
    stripe_says.says = {KEY: "down"}
    with clock.travel(clock.now() + timedelta(days=1)):
        assert jobs.keys() == ""  # nor that it is well again
        assert [each.wrong_since for each in keys(market)] == [since]
        rows = browser(app, builders.person(builders.operator(), "treasurer")).get("/operator/money/keys").text
        assert all(each in rows for each in (OURS, "是另一个账户的", "靖安"))
    stripe_says.says = {KEY: OURS}
    assert (jobs.keys(), wrong(market)) == ("", [])


def test_another_key_of_the_account_ends_it_and_the_old_one_may_be_destroyed_at_stripe(app: Flask, market: Market, stripe_says: Counter) -> None:
    in_use(market)
    stripe_says.says = {KEY: "unknown"}
    jobs.keys()
    assert wrong(market) == [(OURS, "key.unread", market.cooperative)]
    in_use(market, secret_key="sk_test_cooperative9999")
    assert wrong(market) == []
    stripe_says.says["sk_test_cooperative9999"] = OURS
    jobs.keys()
    assert wrong(market) == []
    # Of an account that was left its last key still signs: without it nothing paid there can go back.
    in_use(market, account="acct_1MovedAway00", secret_key="sk_test_movedaway0123", webhook_secret="whsec_movedaway_0123456789")
    stripe_says.says = {"sk_test_movedaway0123": "acct_1MovedAway00"}
    jobs.keys()
    assert wrong(market) == [(OURS, "key.unread", market.cooperative)]


def test_stripe_is_asked_about_new_keys_so_often(app: Flask, market: Market, stripe_says: Counter) -> None:
    """One person's tries are counted, from whatever address, and are nobody else's."""
    one, two = browser(app, market.accountant), browser(app, market.director)

    def tried(who: FlaskClient, number: int) -> int:
        given = {"account": "acct_1Tea0000", "secret_key": f"sk_test_guess{number:07}", "webhook_secret": "whsec_secretsecret"}
        return who.post("/keys/stripe", data=given, environ_base={"REMOTE_ADDR": f"10.0.0.{number}"}).status_code

    assert [tried(one, number) for number in range(11)] == [422] * 10 + [429]
    assert (len(stripe_says.asked), tried(two, 11)) == (10, 422)
