"""One administrator is one person: what decides about money, and a password of who does, takes a second one, or the machine."""

import re
import threading
from collections.abc import Callable

import pytest
from flask import Flask

from marketplace.foundation.audit import AuditEvent
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed
from marketplace.households import visit
from marketplace.notices.message import Message
from marketplace.organisations import invitation, membership, own_sign_in, sign_in_proposal
from marketplace.organisations.actor import Actor
from marketplace.organisations.approval import OwnWork
from marketplace.organisations.person import NO_PASSWORD, Person, hash_password, roles_of
from marketplace.organisations.region import Region
from marketplace.organisations.sign_in_proposal import SignInProposal
from tests import builders, builders_people


def two() -> tuple[Actor, Actor]:
    operator = builders.operator()
    first, second = (builders.person(operator, "administrator") for _ in range(2))
    return first, second


def proposed() -> SignInProposal:
    db.session.rollback()
    return db.session.query(SignInProposal).filter_by(state="PROPOSED").one()


@pytest.mark.both
@pytest.mark.parametrize("role", ["director", "accountant"])
def test_an_invited_role_that_decides_about_money_waits_for_a_second_administrator(app: Flask, role: str) -> None:
    market, (first, second) = builders.market(), two()
    person, token = transaction(lambda: sign_in_proposal.invite(market.cooperative, login="li-hua", name="李华", roles=[role], actor=first))
    assert (token, roles_of(person.id, market.cooperative)) == (None, [])
    row = proposed()
    with pytest.raises(OwnWork), transaction():
        sign_in_proposal.decide(row.id, version=1, approved=True, actor=first)
    with pytest.raises(NotAllowed), transaction():
        sign_in_proposal.decide(row.id, version=1, approved=True, actor=market.director)
    link = transaction(lambda: sign_in_proposal.decide(row.id, version=1, approved=True, actor=second))
    assert (link is not None, roles_of(person.id, market.cooperative)) == (True, [role])
    with pytest.raises(Conflict, match=r"sign_in\.decided"), transaction():
        sign_in_proposal.decide(row.id, version=2, approved=True, actor=second)
    told = {(each.person_id, each.data["state"]) for each in db.session.query(Message).filter_by(kind="sign_in")}
    assert told == {(each, state) for each in (person.id, first.person_id, second.person_id) for state in ("PROPOSED", "APPROVED")}
    assert {"sign_in.proposed", "sign_in.approved", "person.roles"} <= {each.action for each in db.session.query(AuditEvent)}


OTHER_DOORS: dict[str, Callable[[int, int, Actor], object]] = {
    "roles at once": lambda person, own, actor: membership.set_roles(person, own, ["clerk", "director"], read=["clerk"], actor=actor),
    "a link at once": lambda person, own, actor: invitation.make(person, own, actor=actor),
}


def test_no_other_door_gives_them(app: Flask) -> None:
    market, (first, _second) = builders.market(), two()
    for who, door in ((market.clerk, "roles at once"), (market.director, "a link at once")):
        with pytest.raises(NotAllowed, match=r"roles\.two"), transaction():
            OTHER_DOORS[door](who.person_id, market.cooperative, first)


def test_a_clerk_who_becomes_director_chooses_a_password_that_nobody_knew(app: Flask) -> None:
    market, (first, second) = builders.market(), two()
    with transaction():
        db.session.get_one(Person, market.clerk.person_id).password_hash = hash_password("known-to-others")
    transaction(lambda: sign_in_proposal.set_roles(market.clerk.person_id, market.cooperative, ["clerk", "director"], read=["clerk"], actor=first))
    assert roles_of(market.clerk.person_id, market.cooperative) == ["clerk"]
    with pytest.raises(Conflict, match=r"sign_in\.waiting"), transaction():
        sign_in_proposal.set_roles(market.clerk.person_id, market.cooperative, ["accountant"], read=["clerk"], actor=second)
    row = proposed()
    link = transaction(lambda: sign_in_proposal.decide(row.id, version=1, approved=True, actor=second))
    db.session.rollback()
    assert (link is None, roles_of(market.clerk.person_id, market.cooperative)) == (False, ["clerk", "director"])
    assert db.session.get_one(Person, market.clerk.person_id).password_hash == NO_PASSWORD


def test_a_link_for_a_director_is_handed_over_by_the_second_one(app: Flask) -> None:
    market, (first, second) = builders.market(), two()
    assert transaction(lambda: sign_in_proposal.link(market.director.person_id, market.cooperative, actor=first)) is None
    row = proposed()
    assert transaction(lambda: sign_in_proposal.decide(row.id, version=1, approved=False, reason="本人说没有忘", actor=second)) is None
    transaction(lambda: sign_in_proposal.link(market.director.person_id, market.cooperative, actor=first))
    row = proposed()
    token = transaction(lambda: sign_in_proposal.decide(row.id, version=1, approved=True, actor=second))
    found = invitation.person_of(token or "")
    assert found is not None
    assert found.id == market.director.person_id


@pytest.mark.both
@pytest.mark.parametrize("kind", ["a new treasurer", "a forgotten password"])
def test_neither_administrator_becomes_the_person_that_they_agreed_on(app: Flask, kind: str) -> None:
    """The attack: the second administrator, to whom the link is handed, chooses the password and is two people."""
    first, second = two()
    if kind == "a new treasurer":
        invited, _ = transaction(lambda: sign_in_proposal.invite(first.organisation_id, login="li-hua", name="李华", roles=["treasurer"], actor=first))
        person_id = invited.id
    else:
        person_id = builders.person(first.organisation_id, "treasurer").person_id
        transaction(lambda: sign_in_proposal.link(person_id, first.organisation_id, actor=first))
    row = proposed()
    number, before = row.id, db.session.get_one(Person, person_id).password_hash
    with pytest.raises(Conflict, match=r"invitation\.over"), transaction():
        sign_in_proposal.code(number, actor=first)
    assert sign_in_proposal.handing_over(first) == []
    token = transaction(lambda: sign_in_proposal.decide(number, version=1, approved=True, actor=second)) or ""

    with pytest.raises(Conflict, match=r"invitation\.no_code"), transaction():  # the link alone
        invitation.accept(token, "mine-all-mine")
    with pytest.raises(NotAllowed, match=r"sign_in\.others"), transaction():  # and its holder gets no code
        sign_in_proposal.code(number, actor=second)
    assert (sign_in_proposal.handing_over(second), [each.id for each, *_of in sign_in_proposal.handing_over(first)]) == ([], [number])
    _who, old = transaction(lambda: sign_in_proposal.code(number, actor=first))
    _who, code = transaction(lambda: sign_in_proposal.code(number, actor=first))
    for wrong in ("", old, "AAAA-AAAA"):
        assert transaction(lambda wrong=wrong: invitation.accept(token, "mine-all-mine", code=wrong)) is None  # type: ignore[misc]
    db.session.rollback()
    assert db.session.get_one(Person, person_id).password_hash in (before, NO_PASSWORD)
    assert transaction(lambda: invitation.accept(token, "chang-le-88", code=f" {code.lower().replace('-', ' ')}")) == person_id
    with pytest.raises(Conflict, match=r"invitation\.over"), transaction():
        sign_in_proposal.code(number, actor=first)
    assert code.replace("-", "") not in str([each.data for each in db.session.query(AuditEvent)])


@pytest.mark.both
def test_a_code_is_not_tried_through_even_by_fetching_it_anew(app: Flask) -> None:
    first, second = two()
    transaction(lambda: sign_in_proposal.invite(first.organisation_id, login="li-hua", name="李华", roles=["reviewer"], actor=first))
    row = proposed()
    number = row.id
    token = transaction(lambda: sign_in_proposal.decide(number, version=1, approved=True, actor=second)) or ""
    for _ in range(invitation.MOST_TRIES):
        transaction(lambda: sign_in_proposal.code(number, actor=first))
        assert transaction(lambda: invitation.accept(token, "mine-all-mine", code="AAAA-AAAA")) is None
    for act in (lambda: invitation.accept(token, "mine-all-mine", code="AAAA-AAAA"), lambda: sign_in_proposal.code(number, actor=first)):
        with pytest.raises(Conflict, match=r"invitation\.over"), transaction():
            act()
    assert sign_in_proposal.handing_over(first) == []


def test_who_signed_in_as_a_clerk_before_is_not_the_director_afterwards(app: Flask) -> None:
    """The attack: make a clerk alone, sign in as them, and then have a second administrator agree to their new role."""
    market, (first, second) = builders.market(), two()
    person, token = transaction(lambda: sign_in_proposal.invite(market.cooperative, login="li-hua", name="李华", roles=["clerk"], actor=first))
    person_id, client = person.id, app.test_client()
    form = {"password": "known-to-me-8", "again": "known-to-me-8"}
    assert client.post(f"/invitation/{token}", data=form).status_code == 302
    assert client.get("/cooperative").status_code == 200
    transaction(lambda: sign_in_proposal.set_roles(person_id, market.cooperative, ["director"], read=["clerk"], actor=first))
    early = transaction(lambda: sign_in_proposal.link(person_id, market.cooperative, actor=first))  # still a clerk's, made while it waits
    row = proposed()
    transaction(lambda: sign_in_proposal.decide(row.id, version=1, approved=True, actor=second))
    assert client.get("/cooperative").status_code == 302
    assert client.post("/sign-in", data={"login": "li-hua", "password": "known-to-me-8"}).status_code == 422
    assert client.get(f"/invitation/{early}").status_code == 410


@pytest.mark.both
def test_no_link_of_one_part_is_made_while_a_second_person_agrees(app: Flask) -> None:
    """The attack: keep asking for a link of a clerk's while another administrator agrees that they become director. The later link is the one
    that works, and it took no code."""
    market, (first, second) = builders.market(), two()
    clerk = market.clerk.person_id
    transaction(lambda: sign_in_proposal.set_roles(clerk, market.cooperative, ["director"], read=["clerk"], actor=first))
    number, agreed, said = proposed().id, threading.Event(), list[str]()
    db.session.rollback()

    def ask() -> None:
        with app.app_context():
            agreed.wait()
            try:
                transaction(lambda: invitation.make(clerk, market.cooperative, actor=first))
                said.append("made")
            except NotAllowed as error:
                said.append(error.code)
            finally:
                db.session.remove()

    thread = threading.Thread(target=ask)
    thread.start()
    with transaction():
        token = sign_in_proposal.decide(number, version=1, approved=True, actor=second)
        agreed.set()
        thread.join(0.4)  # without a row that both lock, the link is made before this commit
    thread.join()
    assert said == ["roles.two"]
    working = [link for link in db.session.query(invitation.Invitation) if link.works]
    assert [link.in_two for link in working] == [True]
    assert invitation.of_token(token or "") is not None


@pytest.mark.both
@pytest.mark.parametrize(("place", "role"), [("operator", "village_officer"), ("operator", "auditor"), ("village", "village_accountant")])
def test_what_is_sealed_about_households_is_not_opened_to_a_sign_in_of_ones_own_making(app: Flask, place: str, role: str) -> None:
    """The attack: make an officer, take the link, choose the password, and read of every household as somebody else."""
    first, second = two()
    own = first.organisation_id if place == "operator" else builders_people.organisation("VILLAGE", "三坪村村民委员会")
    person, token = transaction(lambda: sign_in_proposal.invite(own, login="li-hua", name="李华", roles=[role], actor=first))
    person_id = person.id
    assert (token, roles_of(person_id, own)) == (None, [])
    row = proposed()
    transaction(lambda: sign_in_proposal.decide(row.id, version=1, approved=True, actor=second))
    assert roles_of(person_id, own) == [role]
    assert transaction(lambda: sign_in_proposal.link(person_id, own, actor=first)) is None  # nor by a forgotten password


def test_an_officer_whom_one_administrator_made_chooses_anew_before_deciding_about_money(app: Flask) -> None:
    """Such sign-ins stand in databases from before: who made it may know the password still."""
    first, second = two()
    officer = builders.person(first.organisation_id, "village_officer")
    for wanted, fresh in ((["reviewer", "village_officer"], True), (["reviewer", "treasurer", "village_officer"], False)):
        held = roles_of(officer.person_id, first.organisation_id)
        transaction(lambda w=wanted, h=held: sign_in_proposal.set_roles(officer.person_id, first.organisation_id, w, read=h, actor=first))  # type: ignore[misc]
        number = proposed().id
        token = transaction(lambda n=number: sign_in_proposal.decide(n, version=1, approved=True, actor=second))  # type: ignore[misc]
        assert (token is not None) == fresh


@pytest.mark.both
def test_more_villages_for_an_officer_take_two_and_fewer_one(app: Flask) -> None:
    first, second = two()
    officer = builders.person(first.organisation_id, "village_officer").person_id
    home, beside = builders.county(), builders.village()
    for wanted in ([home], [home, beside]):
        before = visit.villages_of(officer)
        asked = transaction(lambda w=wanted: visit.assign(officer, w, actor=first))  # type: ignore[misc]
        assert asked is not None and visit.villages_of(officer) == before
        number = asked.id
        with pytest.raises(OwnWork), transaction():
            sign_in_proposal.decide(number, version=1, approved=True, actor=first)
        with pytest.raises(Conflict, match=r"sign_in\.waiting"), transaction():
            visit.assign(officer, [beside], actor=second)
        assert transaction(lambda n=number: sign_in_proposal.decide(n, version=1, approved=True, actor=second)) is None  # type: ignore[misc]
        assert visit.villages_of(officer) == wanted
    assert transaction(lambda: visit.assign(officer, [beside], actor=first)) is None
    asked = transaction(lambda: visit.assign(officer, [home, beside], actor=first))
    assert asked is not None
    number = asked.id
    assert transaction(lambda: visit.assign(officer, [], actor=second)) is None
    with pytest.raises(Conflict, match=r"version\.stale"), transaction():
        sign_in_proposal.decide(number, version=1, approved=True, actor=second)
    with pytest.raises(InvalidInput, match=r"village\.bad"), transaction():
        visit.assign(officer, [db.session.get_one(Region, home).parent_id or 0], actor=first)
    with pytest.raises(InvalidInput, match=r"officer\.bad"), transaction():
        visit.assign(second.person_id, [home], actor=first)


def test_nobody_is_the_second_person_about_themself(app: Flask) -> None:
    first, second = two()
    with pytest.raises(NotAllowed, match=r"roles\.own"), transaction():
        sign_in_proposal.link(first.person_id, first.organisation_id, actor=first)
    transaction(lambda: sign_in_proposal.link(second.person_id, first.organisation_id, actor=first))
    row = proposed()
    with pytest.raises(NotAllowed, match=r"roles\.own"), transaction():
        sign_in_proposal.decide(row.id, version=1, approved=True, actor=second)


def test_what_decides_about_nothing_is_given_at_once_and_roles_are_taken_at_once(app: Flask) -> None:
    market, (first, _second) = builders.market(), two()
    person, token = transaction(lambda: sign_in_proposal.invite(market.cooperative, login="li-hua", name="李华", roles=["clerk"], actor=first))
    assert (token is not None, roles_of(person.id, market.cooperative)) == (True, ["clerk"])
    assert transaction(lambda: sign_in_proposal.set_roles(market.director.person_id, market.cooperative, [], read=["director"], actor=first)) is None
    assert roles_of(market.director.person_id, market.cooperative) == []


def test_the_machine_stands_in_where_there_is_one_administrator(app: Flask) -> None:
    market, only = builders.market(), builders.person(builders.operator(), "administrator")
    transaction(lambda: sign_in_proposal.invite(market.cooperative, login="li-hua", name="李华", roles=["director"], actor=only))
    row = proposed()
    run = app.test_cli_runner().invoke
    assert f"{row.public_id}  ROLES    li-hua" in run(args=["person", "waiting"]).output
    said = run(args=["person", "agree", row.public_id]).output
    link = re.search(r"/invitation/([\w-]+)", said)
    assert link and "/operator/sign-ins" in said
    with pytest.raises(Conflict, match=r"invitation\.no_code"), transaction():  # who holds the machine is not the person either
        invitation.accept(link[1], "mine-all-mine")
    db.session.rollback()
    assert roles_of(row.person_id, market.cooperative) == ["director"]
    assert db.session.query(AuditEvent).filter_by(action="sign_in.approved").one().data["by_machine"] is True


def test_staff_do_not_take_anothers_name(app: Flask) -> None:
    market, (first, _second) = builders.market(), two()
    with pytest.raises(NotAllowed, match=r"name\.staff"), transaction():
        own_sign_in.rename(market.director.person_name, actor=market.accountant)
    transaction(lambda: membership.rename(market.clerk.person_id, market.cooperative, "王小店", actor=first))
    assert db.session.query(AuditEvent).filter_by(action="person.renamed").one().data["after"] == "王小店"
    buyer = builders.customer()
    transaction(lambda: own_sign_in.rename("李买家", actor=buyer))
