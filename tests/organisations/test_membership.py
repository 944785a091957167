"""Administrators who act at the same moment: one of them always stays."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict
from marketplace.organisations import membership
from marketplace.organisations.actor import Actor
from marketplace.organisations.person import Person, Role
from tests import builders


def take_roles(other: Actor, actor: Actor) -> Any:
    return membership.set_roles(other.person_id, actor.organisation_id, [], read=["administrator"], actor=actor)


def shut(other: Actor, actor: Actor) -> Any:
    return membership.suspend(other.person_id, actor.organisation_id, suspended=True, reason="x", actor=actor)


@pytest.mark.both
@pytest.mark.parametrize("second", [take_roles, shut])
def test_two_who_remove_each_other_at_once_leave_one(app: Flask, second: Callable[[Actor, Actor], Any]) -> None:
    operator = builders.operator()
    one, two = (builders.person(operator, "administrator") for _ in range(2))
    removed, said = threading.Event(), list[str]()

    def other_one() -> None:
        with app.app_context():
            removed.wait()
            try:
                transaction(lambda: second(one, two), attempts=10)
                said.append("done")
            except Conflict as error:
                said.append(error.code)
            finally:
                db.session.remove()

    thread = threading.Thread(target=other_one)
    thread.start()
    with transaction():
        take_roles(two, one)
        removed.set()
        thread.join(0.4)  # without a row that both lock, the other one is through before this commit
    thread.join()
    assert said == ["administrator.last"]
    left = (
        select(func.count())
        .select_from(Role)
        .join(Person, Person.id == Role.person_id)
        .where(Role.organisation_id == operator, Role.name == "administrator", Person.deactivated_at.is_(None))
    )
    assert db.session.scalar(left) == 1
