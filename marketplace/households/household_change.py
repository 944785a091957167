"""A household leaves, dies out or divides: on a day, by a document, on two people's word at the county office that keeps the register.

Shares end on the day (where a period is distributed already, with its last day); what was credited stays payable: to the household, to
its heir, or divided with it. Nothing that stands is rewritten: what was before stands in the change.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, select, text
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock, files
from marketplace.foundation.crypto import Sealed, last_four, sealed_column
from marketplace.foundation.database import Model, db, get, locked
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_
from marketplace.households.account_correction import AccountCorrection
from marketplace.households.household import Household
from marketplace.households.linkage_group import LinkageShare
from marketplace.households.linkage_share import closed_until
from marketplace.organisations.actor import Actor
from marketplace.organisations.proposal import TWO_PEOPLE, Proposal

KINDS = {"LEAVES": N_("退出"), "DIES": N_("户内无人（去世）"), "SPLITS": N_("分户")}
LATE = timedelta(days=366)
# Higher rungs hear of a change that was approved: what was credited is theirs to divide.
carries: list[Callable[["HouseholdChange"], None]] = []


class HouseholdChange(Proposal, Model):
    """What is asked for. ``other_*`` is the household that divides off, or the heir who is paid from now on: a person with an account,
    or a household of the register (``other_id`` from the first, and ``other_code``), whose credit it becomes."""

    __tablename__ = "household_change"
    not_now = ("change.decided", N_("这项变动已经有结果了，请刷新页面看看。"))
    __table_args__ = (
        CheckConstraint("kind IN ('LEAVES','DIES','SPLITS')", name="kind"),
        CheckConstraint("state IN ('PROPOSED','APPROVED','RETURNED')", name="state"),
        CheckConstraint(TWO_PEOPLE, name="two_people"),
        Index(
            "uq_household_change_waiting", "household_id", unique=True,
            sqlite_where=text("state = 'PROPOSED'"), postgresql_where=text("state = 'PROPOSED'"),
        ),
    )  # fmt: skip

    household_id: Mapped[int] = mapped_column(ForeignKey("household.id"), index=True)
    kind: Mapped[str] = mapped_column(String(8))
    last_day: Mapped[date]  # the household's last day as it was
    reason: Mapped[str] = mapped_column(String(300))
    file_id: Mapped[int] = mapped_column(ForeignKey("stored_file.id"))
    state: Mapped[str] = mapped_column(String(10), default="PROPOSED")
    people_before: Mapped[int]
    other_name_sealed: Mapped[str] = sealed_column(default="")
    other_name = Sealed()
    other_id_number_sealed: Mapped[str] = sealed_column(default="")
    other_id_number = Sealed()
    other_bank: Mapped[str] = mapped_column(String(80), default="")
    other_account_sealed: Mapped[str] = sealed_column(default="")
    other_account = Sealed()
    other_code: Mapped[str] = mapped_column(String(30), default="")
    other_people: Mapped[int] = mapped_column(default=0)
    other_unable: Mapped[int] = mapped_column(default=0)
    shares_bp: Mapped[int] = mapped_column(default=0)
    credit_bp: Mapped[int] = mapped_column(default=0)  # of what was credited and not paid: 0 leaves all with the old household
    other_id: Mapped[int | None] = mapped_column(ForeignKey("household.id"))


@dataclass(frozen=True)
class Other:
    """Whom the document names: the heir (name, ID number, bank, account; of a household of the register its code alone), or the household
    that divides off (code, people, how many of them cannot work, its part of the shares and of the old credit in basis points)."""

    name: str = ""
    id_number: str = ""
    bank: str = ""
    account: str = ""
    code: str = ""
    people: int = 0
    unable: int = 0
    shares_bp: int = 0
    credit_bp: int = 0


def propose(
    household_id: int, kind: str, last_day: date, reason: str, other: Other, *, document: bytes, name: str, media_type: str, actor: Actor
) -> HouseholdChange:
    """Ask for a change, with the document it rests on (kept as personal). By the operator's administrator.

    Of a household that has left or died out, only an heir may still be named, however late: its last day stays what it was. Raises
    InvalidInput naming its ``field``; Conflict ``change.waiting`` while another one of the household waits, ``change.exited``.
    """
    actor.must_have("OPERATOR", "administrator")
    home = locked(Household, household_id)
    if home.exited_on is not None:
        if kind != "DIES" or not (other.code.strip() or other.account.strip()):
            raise Conflict("change.exited", N_("这户已经退出，只能补登记继承人：选“去世”，写明继承人或继承的户。"))
        last_day = home.exited_on
    waits = select(HouseholdChange.id).where(HouseholdChange.household_id == home.id, HouseholdChange.state == "PROPOSED")
    if db.session.scalar(waits) is not None:
        raise Conflict("change.waiting", N_("这户已经有一项变动在等同意，先办完那一项。"))
    _must_be_sound(home, kind, last_day, reason, other)
    heir = _heir(home, other.code) if kind == "DIES" and other.code.strip() else None
    if not document:
        raise InvalidInput("change.document", N_("请附上证明文件，例如销户证明、公证书、分户协议。"), field="document")
    file = files.store(document, name=name, media_type=media_type, organisation_id=actor.organisation_id, sensitivity="PERSONAL")
    row = HouseholdChange(
        organisation_id=actor.organisation_id, household_id=home.id, kind=kind, last_day=last_day, reason=reason.strip(), file_id=file.id,
        proposed_at=clock.now(), proposed_by_id=actor.person_id, people_before=home.people, other_bank=other.bank.strip(),
        other_code=other.code.strip().upper(), other_people=other.people, other_unable=other.unable, shares_bp=other.shares_bp,
        credit_bp=10_000 if heir else other.credit_bp, other_id=heir.id if heir else None, version=1,
    )  # fmt: skip
    row.other_name, row.other_id_number, row.other_account = other.name.strip(), other.id_number.strip().upper(), other.account.strip()
    db.session.add(row)
    db.session.flush()
    audit.record("household.change_proposed", home, person_id=actor.person_id, organisation_id=actor.organisation_id, kind=kind, change_id=row.id)
    db.session.flush()
    return row


def decide(change_id: int, *, actor: Actor, version: int, approved: bool, reason: str = "") -> HouseholdChange:
    """Another administrator's word; approved, the change is made. OwnWork; Conflict ``change.decided``, ``change.heir_exited``,
    ``change.future`` if a share begins after the last day: it is ended first, by the cooperative."""
    home = locked(Household, get(HouseholdChange, change_id).household_id)
    row = locked(HouseholdChange, change_id)
    actor.must_have("OPERATOR", "administrator")
    row.decide(actor=actor, version=version, approved=approved, reason=reason)
    row.state = "APPROVED" if approved else "RETURNED"
    db.session.flush()
    if approved:
        _make(home, row)
        audit.record("household.changed", home, person_id=actor.person_id, organisation_id=actor.organisation_id, kind=row.kind, change_id=row.id)
    db.session.flush()
    return row


def waits_for_heir(home: Household) -> bool:
    """Whether nobody of the household is left, and nobody is named yet who is paid in its place."""
    if home.exited_on is None or home.payee_name_sealed:
        return False
    died = select(HouseholdChange.id).where(HouseholdChange.household_id == home.id, HouseholdChange.kind == "DIES", HouseholdChange.state == "APPROVED")
    return db.session.scalar(died.limit(1)) is not None


def died_since(household_id: int, moment: datetime) -> bool:
    """Whether it was agreed after ``moment`` that nobody of the household is left, or who inherits: what was asked before was of others."""
    query = select(HouseholdChange.id).where(
        HouseholdChange.household_id == household_id, HouseholdChange.kind == "DIES", HouseholdChange.state == "APPROVED",
        HouseholdChange.decided_at >= moment,
    )  # fmt: skip
    return db.session.scalar(query.limit(1)) is not None


def _make(home: Household, row: HouseholdChange) -> None:
    late = home.exited_on is not None
    if row.kind == "SPLITS":
        row.other_id = _divided_off(home, row).id
    else:
        home.exited_on = home.exited_on or row.last_day
        if row.other_id is not None:
            heir = locked(Household, row.other_id)
            if heir.exited_on is not None:
                raise Conflict("change.heir_exited", N_("继承的那一户自己也已经退出，请退回这项变动，另提一项。"))
            # What is on its way and comes back, and what is distributed later for days before the last, goes to the heir as well.
            name, number = (heir.payee_name, heir.payee_id_number) if heir.payee_name_sealed else (heir.name, heir.id_number)
            _pay_heir(home, row, Other(name=name, id_number=number, bank=heir.bank_name, account=heir.bank_account))
        elif row.other_account:
            _pay_heir(home, row, Other(name=row.other_name, id_number=row.other_id_number, bank=row.other_bank, account=row.other_account))
    if not late:
        _end_shares(home, row)
    home.version += 1
    db.session.flush()
    for hear in carries:
        hear(row)


def _end_shares(home: Household, row: HouseholdChange) -> None:
    """Every share ends with the day; of a household that divides, equity goes on from the day after, in two parts that sum to the old."""
    query = select(LinkageShare).where(
        LinkageShare.household_id == home.id, LinkageShare.ends_on.is_(None) | (LinkageShare.ends_on > row.last_day)
    )
    for share in db.session.scalars(query.order_by(LinkageShare.id).with_for_update()).all():
        part = share.shares * row.shares_bp // 10_000
        if row.kind == "SPLITS" and not part:
            continue  # all of it stays
        closed = max((day for ask in closed_until if (day := ask(share.group_id)) is not None), default=row.last_day)
        last, until = max(row.last_day, closed), share.ends_on
        if share.starts_on > last:
            raise Conflict("change.future", N_("这户有一条 %(day)s 起的股份还没有开始，请合作社先结束它。"), day=f"{share.starts_on}")
        if until is not None and until <= last:
            continue
        share.ends_on, share.ended_by_id, share.end_reason = last, row.decided_by_id, row.reason[:200]
        if row.kind == "SPLITS":
            # What was appraised is divided with the shares that stand for it. Where that is less than a fen, there is nothing to say.
            worth = (share.appraised_fen or 0) * part // share.shares
            for household_id, shares, fen in ((home.id, share.shares - part, (share.appraised_fen or 0) - worth), (row.other_id, part, worth)):
                if shares:
                    db.session.add(
                        LinkageShare(
                            organisation_id=share.organisation_id, group_id=share.group_id, household_id=household_id, kind=share.kind,
                            shares=shares, asset_kind=share.asset_kind if fen else None, appraised_fen=fen or None,
                            starts_on=last + timedelta(days=1), ends_on=until, basis_zh=share.basis_zh, recorded_by_id=row.decided_by_id,
                        )
                    )  # fmt: skip


def _divided_off(home: Household, row: HouseholdChange) -> Household:
    other = Household(
        organisation_id=home.organisation_id, code=row.other_code, village_id=home.village_id, registry_status=home.registry_status,
        monitoring_kind=home.monitoring_kind, people=row.other_people, bank_name="", bank_account_sealed="",
        entered_on=row.last_day + timedelta(days=1), statement_token=secrets.token_urlsafe(24), version=1,
    )  # fmt: skip
    other.name, other.id_number = row.other_name, row.other_id_number
    other.set_hardship(ill_or_disabled=home.ill_or_disabled, unable_to_work=row.other_unable)
    home.set_hardship(ill_or_disabled=home.ill_or_disabled, unable_to_work=home.unable_to_work - row.other_unable)
    home.people -= row.other_people
    db.session.add(other)
    db.session.flush()
    return other


def _heir(home: Household, code: str) -> Household:
    """The household of the register that inherits. InvalidInput ``change.heir`` for one that is not there, or the same."""
    heir = db.session.scalars(select(Household).where(Household.code == code.strip().upper())).one_or_none()
    if heir is None or heir.exited_on is not None or heir.id == home.id:
        raise InvalidInput("change.heir", N_("继承的户要是在册的另一户，请核对户编号。"), field="other_code")
    return heir


def _pay_heir(home: Household, row: HouseholdChange, heir: Other) -> None:
    """From now on the heir is paid what the household is owed: under the heir's name and ID number, to the heir's bank account."""
    before = home.bank_account
    change = AccountCorrection(
        organisation_id=row.organisation_id, household_id=home.id, bank_before=home.bank_name, last4_before=last_four(before),
        last4_after=last_four(heir.account), reason=row.reason[:200], at=clock.now(), by_id=row.proposed_by_id, approved_by_id=row.decided_by_id,
    )  # fmt: skip
    change.account_before = before
    home.bank_name, home.bank_account = heir.bank, heir.account
    home.alipay_account = home.alipay_name = ""  # it was the one's who is no more; the heir may register their own
    home.payee_name, home.payee_id_number = heir.name, heir.id_number
    db.session.add(change)


def _must_be_sound(home: Household, kind: str, last_day: date, reason: str, other: Other) -> None:
    today = clock.business_date()
    if kind not in KINDS:
        raise InvalidInput("change.kind", N_("请选是哪一种变动。"), field="kind")
    if home.exited_on is None and not max(home.entered_on, today - LATE) <= last_day <= today:
        raise InvalidInput("change.day", N_("最后一天要在一年以内，不早于入册那天，也不晚于今天。"), field="last_day")
    if not 2 <= len(reason.strip()) <= 300:
        raise InvalidInput("change.reason", N_("请写明原因和凭什么。"), field="reason")
    if kind == "SPLITS":
        _must_divide(home, other)
    elif kind == "DIES" and other.code.strip():
        if any((other.name, other.id_number, other.bank, other.account)):
            raise InvalidInput("change.heir", N_("继承的是在册的户，只写它的户编号：钱发到那一户登记的账户。"), field="other_code")
    elif any((other.name, other.id_number, other.bank, other.account)):
        if not 2 <= len(other.name.strip()) <= 40 or len(other.id_number.strip()) != 18:
            raise InvalidInput("change.heir", N_("继承人要写姓名和 18 位身份证号。"), field="other_name")
        if not 2 <= len(other.bank.strip()) <= 80 or not (other.account.isascii() and other.account.isdigit() and 8 <= len(other.account) <= 32):
            raise InvalidInput("change.account", N_("继承人要写开户行全名和 8 到 32 位账号。"), field="other_account")


def _must_divide(home: Household, other: Other) -> None:
    if not 1 <= other.people < home.people:
        raise InvalidInput("change.people", N_("分出去的人数要在 1 和 %(most)s 之间，两户加起来还是 %(all)s 人。"), field="other_people", most=home.people - 1, all=home.people)
    left = home.unable_to_work - other.unable
    if not 0 <= other.unable <= min(other.people, home.unable_to_work) or left > home.people - other.people:
        raise InvalidInput("change.unable", N_("不能劳动的人数和两户的人数对不上。"), field="other_unable")
    if not 0 <= other.shares_bp <= 10_000 or not 0 <= other.credit_bp <= 10_000:
        raise InvalidInput("change.part", N_("分出去的份额要在 0 到 100%% 之间。"), field="shares_bp")
    code = other.code.strip().upper()
    if not 3 <= len(code) <= 30 or db.session.scalar(select(Household.id).where(Household.code == code)) is not None:
        raise InvalidInput("change.code", N_("请写新户的户编号，不能和别的户重复。"), field="other_code")
    if not 2 <= len(other.name.strip()) <= 40 or len(other.id_number.strip()) != 18:
        raise InvalidInput("change.head", N_("新户要写户主姓名和 18 位身份证号。"), field="other_name")
