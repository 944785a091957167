"""Who hears of what is asked for and decided about somebody's sign-in: the person, and every administrator of the county."""

from typing import Any

from sqlalchemy import select

from marketplace.foundation.database import db, get
from marketplace.foundation.language import N_
from marketplace.notices import message
from marketplace.notices.message import Say
from marketplace.organisations import sign_in_proposal
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.person import Person, Role
from marketplace.organisations.sign_in_proposal import SignInProposal

SUBJECTS = {
    "PROPOSED": N_("%(name)s 的登录等另一位管理员同意"), "APPROVED": N_("%(name)s 的登录改了"), "RETURNED": N_("%(name)s 的登录没有改"),
}  # fmt: skip
TEXTS = {
    "ROLES": N_("%(by)s 要给 %(name)s 在 %(place)s 的岗位。不是您知道的事，请马上找县级运营方核对。"),
    "LINK": N_("%(by)s 要给 %(name)s（%(place)s）开一个重设密码的链接。不是您知道的事，请马上找县级运营方核对。"),
    "VILLAGES": N_("%(by)s 要让 %(name)s（%(place)s）负责更多的村。不是您知道的事，请马上找县级运营方核对。"),
}


def tell(row: SignInProposal) -> None:
    """Write to everybody concerned, by e-mail too if they wish so."""
    operator = select(Organisation.id).where(Organisation.kind == "OPERATOR")
    administrators = (
        select(Role.person_id, Role.organisation_id)
        .join(Person, Person.id == Role.person_id)
        .where(Role.organisation_id.in_(operator), Role.name == "administrator", Person.deactivated_at.is_(None))
    )
    person, place, by = get(Person, row.person_id), get(Organisation, row.organisation_id), get(Person, row.proposed_by_id)
    data = {"state": row.state, "kind": row.kind, "name": person.name_zh, "place": place.name_zh, "by": by.name_zh}
    readers: dict[int, tuple[int, str]] = {person.id: (place.id, "")}
    readers |= {person_id: (organisation_id, "/operator/sign-ins") for person_id, organisation_id in db.session.execute(administrators)}
    for person_id, (organisation_id, path) in readers.items():
        number = f"sign_in:{row.id}:{row.state}:{person_id}"
        message.write("sign_in", number, data, person_id=person_id, organisation_id=organisation_id, path=path, by_mail=True)


@message.worded("sign_in")
def _words(data: dict[str, Any], say: Say) -> tuple[str, str]:
    return say(SUBJECTS[data["state"]], name=data["name"]), say(TEXTS[data["kind"]], by=data["by"], name=data["name"], place=data["place"])


if tell not in sign_in_proposal.told:
    sign_in_proposal.told.append(tell)
