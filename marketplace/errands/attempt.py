"""An attempt at an errand: begun, then carried out in one transaction with its outcome (or in goes, each with how far it came), or else refused or failed.

Whoever attempts an errand holds its row. A second worker, to whom the outbox gave it because the first took longer than a claim
lasts, waits there (on SQLite: for the first one's whole transaction) and finds it ended; if the first one died, nothing of what it did is there, and the
second does it.
"""

import json
from typing import Any

from marketplace.errands.errand import Errand
from marketplace.errands.step import GOES_ON, GONE, Tell, Work, steps
from marketplace.foundation import clock
from marketplace.foundation.database import db, get, locked
from marketplace.foundation.errors import MarketError, NotAllowed
from marketplace.foundation.language import N_
from marketplace.notices import message
from marketplace.notices.message import Say
from marketplace.organisations.actor import Actor, acting

MOST = 3  # attempts, whether they ended in an error or with the worker's death
MOST_TOLD = 20  # lines of an error that names many


def begin(errand_id: int) -> bool:
    """Note that an attempt begins; False if there is nothing (more) to do."""
    row = locked(Errand, errand_id)
    if row.state != "ASKED":
        return False
    if row.attempts >= MOST:  # the last one never came to say so
        _end(row, "FAILED", {})
        return False
    row.attempts += 1
    row.began_at = clock.now()
    if row.gone is None:
        row.told = row.told_of = None
    db.session.flush()
    return True


def ahead(errand_id: int, tell: Tell) -> Work | None:
    """What the step does before its transaction, if it does any of it there: it reads, changes nothing, and tells how far it is. Answers with
    the work that is left. Raises as ``carry_out``; not inside a transaction, since whoever is told writes it down in one."""
    row = get(Errand, errand_id)
    if row.kind.ahead is None or row.state != "ASKED":
        return None
    return row.kind.ahead(row.given, _asker(row), tell)


def tell(errand_id: int, done: int, of: int) -> None:
    """Note how far the attempt is: for whoever looks, and for nothing else."""
    row = locked(Errand, errand_id)
    if row.state == "ASKED":
        row.told, row.told_of = done, of
        db.session.flush()


def carry_out(errand_id: int, work: Work | None = None) -> bool:
    """Take the step (``work``: what ``ahead`` left of it), for the asker as they are now, and say what came of it. True if it has an end;
    False if it is in goes, and this was not the last. Raises what the step raises, and NotAllowed ``role.missing`` if the asker may not act
    for the organisation any more."""
    row = locked(Errand, errand_id)
    if row.state != "ASKED":
        return True
    outcome = (work or row.kind.work)({**row.given, GONE: row.gone} if row.gone else row.given, _asker(row))
    if not outcome.get(GOES_ON):
        _end(row, "DONE", outcome)
        return True
    row.gone, row.attempts = outcome, 1
    row.told, row.told_of = row.through, row.households
    db.session.flush()
    return False


def refuse(errand_id: int, error: MarketError) -> None:
    """The rules say no: nothing (more) was changed, and it is not tried again."""
    row = locked(Errand, errand_id)
    if row.state == "ASKED":
        _end(row, "REFUSED", {"code": error.code, "message": error.message, "data": _plain(error.data)})


def fail(errand_id: int) -> bool:
    """Something broke: nothing (more) was changed. True if that was the last attempt."""
    row = locked(Errand, errand_id)
    if row.state == "ASKED" and row.attempts >= MOST:
        _end(row, "FAILED", {})
    elif row.state == "ASKED":
        row.began_at = None
        db.session.flush()
    return row.state == "FAILED"


def _asker(row: Errand) -> Actor:
    actor = acting(row.asked_by_id, row.organisation_id)
    if actor is None:
        raise NotAllowed("role.missing", N_("这一步要由别的岗位来办。"))
    return actor


def _end(row: Errand, state: str, outcome: dict[str, Any]) -> None:
    row.state, row.ended_at, row.outcome = state, clock.now(), outcome
    db.session.flush()
    message.write(
        "errand.ended", f"errand:{row.public_id}:{row.asked_at:%Y%m%d%H%M%S}", {"step": row.step, "name": row.name, "state": state, "outcome": outcome, "through": row.through},
        person_id=row.asked_by_id, organisation_id=row.organisation_id, path=f"/errands/{row.public_id}", by_mail=True,
    )  # fmt: skip


def _plain(data: dict[str, Any]) -> dict[str, Any]:
    """An error's data as it can be kept."""
    kept = {name: value[:MOST_TOLD] if isinstance(value, list) else value for name, value in data.items()}
    plain: dict[str, Any] = json.loads(json.dumps(kept, default=str))
    return plain


@message.worded("errand.ended")
def _ended(data: dict[str, Any], say: Say) -> tuple[str, str]:
    step, outcome = steps[data["step"]], data["outcome"]
    title = say(step.title, of=data["name"])
    if data["state"] == "DONE":
        return say(N_("办好了：%(title)s"), title=title), say(step.done, **outcome)
    through = data.get("through", 0)
    stands = say(N_("已经办好 %(n)s 户，都记下了；其余的没有改。"), n=through) if through else say(N_("什么也没有改。"))
    if data["state"] == "FAILED":
        return say(N_("没有办成：%(title)s"), title=title), "\n\n".join((say(N_("系统试了几次都没有办成。可以再试一次；还是不行，请联系县运营方。")), stands))
    why = say(outcome["message"], **outcome["data"]) if "%(" in outcome["message"] else say(outcome["message"])
    return say(N_("没有办：%(title)s"), title=title), f"{why}\n\n{stands}"
