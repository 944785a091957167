"""Another bank or Alipay account for a household, or none any more at Alipay: proposed by one person, in force only when a second one approves.

A cooperative's accountant proposes and its director decides; at the operator one administrator or treasurer proposes, another decides.
The account of a household that other cooperatives pay too, or will, is not one cooperative's to change, nor is its first one: whoever is
paid there would be theirs to choose for all. The register's keeper does.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Select, String, select, text
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock
from marketplace.foundation.crypto import Sealed, last_four, sealed_column
from marketplace.foundation.database import Model, db, get, locked, not_found
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_
from marketplace.households import alipay_account
from marketplace.households.account_correction import AccountCorrection, known_by, must_know, shared_with
from marketplace.households.household import Household
from marketplace.households.household_change import died_since, waits_for_heir
from marketplace.organisations.actor import Actor
from marketplace.organisations.proposal import TWO_PEOPLE, Proposal

KINDS = ("bank", "alipay")
SHORTEST, LONGEST = 8, 32  # digits of a Chinese bank account or card


class AccountProposal(Proposal, Model):
    """What is asked for, with what stood when it was asked. ``organisation_id`` is whose people propose and decide."""

    __tablename__ = "account_proposal"
    not_now = ("account.decided", N_("这一次改账户已经有结果了，请刷新页面看看。"))
    __table_args__ = (
        CheckConstraint("state IN ('PROPOSED','APPROVED','RETURNED')", name="state"),
        CheckConstraint("(state = 'PROPOSED') = (decided_by_id IS NULL)", name="decided"),
        CheckConstraint(TWO_PEOPLE, name="two_people"),
        CheckConstraint("state <> 'RETURNED' OR returned_reason <> ''", name="returned_reason"),
        CheckConstraint("kind IN ('bank','alipay')", name="kind"),
        Index(
            "uq_account_proposal_waiting", "organisation_id", "household_id", unique=True,
            sqlite_where=text("state = 'PROPOSED'"), postgresql_where=text("state = 'PROPOSED'"),
        ),
    )  # fmt: skip

    household_id: Mapped[int] = mapped_column(ForeignKey("household.id"), index=True)
    kind: Mapped[str] = mapped_column(String(8), default="bank", server_default="bank")
    bank_before: Mapped[str] = mapped_column(String(80))
    account_before_sealed: Mapped[str] = sealed_column(default="")
    account_before = Sealed()
    bank_name: Mapped[str] = mapped_column(String(80))
    account_sealed: Mapped[str] = sealed_column()
    account = Sealed()
    name_before_sealed: Mapped[str] = sealed_column(default="", server_default="")
    name_before = Sealed()
    payee_name_sealed: Mapped[str] = sealed_column(default="", server_default="")  # whose Alipay account it is; bank accounts have none
    payee_name = Sealed()
    last4: Mapped[str] = mapped_column(String(4))
    reason: Mapped[str] = mapped_column(String(200))
    state: Mapped[str] = mapped_column(String(10), default="PROPOSED")
    returned_reason: Mapped[str] = mapped_column(String(300), default="")

    @property
    def removes(self) -> bool:
        """Whether it asks that the household have no account of the kind any more."""
        return not self.account_sealed


def propose(
    household_id: int, *, account: str, again: str, reason: str, actor: Actor, version: int, bank_name: str = "", kind: str = "bank", payee_name: str = ""
) -> AccountProposal:
    """Ask for another account, with a reason: a bank and its number (digits; spaces and hyphens are dropped), or with ``kind``
    "alipay" an account there and its owner's real name. Nothing changes yet.

    By an accountant of a cooperative that the household is linked to, or the operator's administrator or treasurer. Raises
    InvalidInput for ``kind``, ``bank_name``, ``account``, ``again``, ``payee_name`` or ``reason``; NotFound for a household that is not linked; Conflict
    ``account.waiting`` while one of the same organisation waits, ``account.heir`` where nobody is left and no heir is named, ``account.shared`` for a cooperative where others pay the household too,
    ``version.stale`` if the household changed since it was read.
    """
    home = locked(Household, household_id)
    must_know(home, actor, "accountant")
    return _asked_for(home, kind, _checked(home, kind, bank_name, account, again, payee_name, reason), reason, actor, version)


def propose_removal(household_id: int, reason: str, *, actor: Actor, version: int) -> AccountProposal:
    """Ask that the household be paid over Alipay no more: new batches go to its bank account. Frozen ones stay as they are.

    By whom, and raises, as ``propose``; Conflict ``account.none`` where it has no account there.
    """
    home = locked(Household, household_id)
    must_know(home, actor, "accountant")
    _must_have_reason(reason)
    if not home.alipay_account_sealed:
        raise Conflict("account.none", N_("这户没有登记支付宝，不用取消。"))
    return _asked_for(home, "alipay", ("", "", ""), reason, actor, version)


def _asked_for(home: Household, kind: str, after: tuple[str, str, str], reason: str, actor: Actor, version: int) -> AccountProposal:
    """``after``: bank, number and name, as they are kept."""
    if home.version != version:
        raise Conflict("version.stale", N_("别人刚刚改过这一项。两边的内容都保留着，请对照后再保存。"), now=home.version)
    if waits(home.id, actor.organisation_id):
        raise Conflict("account.waiting", N_("这户已经有一次改账户在等人同意。先等那一次办完，再提新的。"))
    if after[1] and waits_for_heir(home):
        raise Conflict("account.heir", N_("这户已经没有人了：改了账户，文件里还是去世的人的姓名和身份证号。请县里在“户的变动”里登记继承人。"))
    before = _standing(home, kind)
    _must_be_own_to_change(home, actor)
    row = AccountProposal(
        organisation_id=actor.organisation_id, household_id=home.id, kind=kind, bank_before=before[0], bank_name=after[0],
        last4=_tail(kind, after[1]), reason=reason.strip(), proposed_at=clock.now(), proposed_by_id=actor.person_id, version=1,
    )  # fmt: skip
    row.account_before, row.account, row.name_before, row.payee_name = before[1], after[1], before[2], after[2]
    db.session.add(row)
    db.session.flush()
    audit.record("household.account_proposed", home, person_id=actor.person_id, organisation_id=actor.organisation_id, proposal_id=row.id)
    db.session.flush()
    return row


def decide(proposal_id: int, *, actor: Actor, version: int, approved: bool, reason: str = "") -> AccountProposal:
    """The second person's decision; only approval writes the household. OwnWork if the actor proposed it.

    Raises NotFound for another organisation's, Conflict ``account.decided`` if it was decided before, ``version.stale`` for an old
    page, ``account.stale`` if the account has changed since it was proposed, or whoever was to be paid has died; InvalidInput ``reason`` for a return without one.
    """
    # The household first, as in ``propose``: two that wait for each other would wait for ever.
    home = locked(Household, get(AccountProposal, proposal_id).household_id)
    row = locked(AccountProposal, proposal_id)
    if actor.is_operator:
        actor.must_have("OPERATOR", "administrator", "treasurer")
    else:
        actor.must_have("COOPERATIVE", "director")
    if row.organisation_id != actor.organisation_id:
        raise not_found(AccountProposal)
    if len(reason.strip()) > 300:
        raise InvalidInput("reason.long", N_("理由请写在 300 字以内。"), field="reason")
    row.decide(actor=actor, version=version, approved=approved, reason=reason)
    row.state, row.returned_reason = ("APPROVED", "") if approved else ("RETURNED", reason.strip())
    if approved:
        _must_be_own_to_change(home, actor)
        _apply(home, row, actor)
    db.session.flush()
    return row


def of_household(household_id: int, organisation_id: int) -> AccountProposal | None:
    """The latest proposal of this organisation's people for the household."""
    query = select(AccountProposal).where(AccountProposal.household_id == household_id, AccountProposal.organisation_id == organisation_id)
    return db.session.scalars(query.order_by(AccountProposal.id.desc()).limit(1)).first()


def waiting(organisation_id: int, among: Select[Any] | Sequence[int] | None = None) -> list[tuple[AccountProposal, Household]]:
    """Proposals of this organisation that wait, the oldest first, with their households; ``among`` narrows to household ids."""
    query = (
        select(AccountProposal, Household)
        .join(Household, Household.id == AccountProposal.household_id)
        .where(AccountProposal.organisation_id == organisation_id, AccountProposal.state == "PROPOSED")
        .order_by(AccountProposal.id)
    )
    if among is not None:
        query = query.where(AccountProposal.household_id.in_(among))
    return [(row, home) for row, home in db.session.execute(query)]


def waits(household_id: int, organisation_id: int) -> bool:
    """Whether a proposal of this organisation waits: who decides on it may open the account, whatever became of the shares since."""
    query = select(AccountProposal.id).where(
        AccountProposal.household_id == household_id, AccountProposal.organisation_id == organisation_id, AccountProposal.state == "PROPOSED"
    )
    return db.session.scalar(query.limit(1)) is not None


known_by.append(waits)


def _checked(
    home: Household, kind: str, bank_name: str, account: str, again: str, payee_name: str, reason: str
) -> tuple[str, str, str]:
    """Bank, number and name as they are kept."""
    if kind not in KINDS:
        raise InvalidInput("account.kind", N_("请选银行账户或支付宝。"), field="kind")
    kept = (alipay_account.ALIPAY, *alipay_account.checked(account, again, payee_name)) if kind == "alipay" else _checked_bank(bank_name, account, again)
    _must_have_reason(reason)
    if kept == _standing(home, kind):
        raise InvalidInput("account.same", N_("和现在登记的一样，没有改动。"), field="account")
    return kept


def _must_have_reason(reason: str) -> None:
    if not 2 <= len(reason.strip()) <= 200:
        raise InvalidInput("reason.missing", N_("请写明为什么改、凭什么改，例如“账户已销，凭新存折”。"), field="reason")


def _checked_bank(bank_name: str, account: str, again: str) -> tuple[str, str, str]:
    number, second = (each.translate(_SEPARATORS) for each in (account, again))
    if not 2 <= len(bank_name.strip()) <= 80:
        raise InvalidInput("account.bank", N_("请写开户行的全名。"), field="bank_name")
    if not (number.isascii() and number.isdigit() and SHORTEST <= len(number) <= LONGEST):
        raise InvalidInput("account.bad", N_("账号应是 8 到 32 位数字，请对照存折或银行卡。"), field="account")
    if number != second:
        raise InvalidInput("account.again", N_("两次填写的账号不一样，请再对一遍。"), field="again")
    return bank_name.strip(), number, ""


def _must_be_own_to_change(home: Household, actor: Actor) -> None:
    if not actor.is_operator and any(ask(home.id, actor.organisation_id) for ask in shared_with):
        raise Conflict("account.shared", N_("别的合作社也给这户发钱，一家合作社不能登记或改它的账户。请把凭据（存折、银行卡或支付宝实名页）的复印件交给县级运营方，由他们两个人来办。"))


def _standing(home: Household, kind: str) -> tuple[str, str, str]:
    """Bank, number and name of the account of a kind as the household has it now."""
    if kind == "alipay":
        return (alipay_account.ALIPAY if home.alipay_account else "", home.alipay_account, home.alipay_name)
    return home.bank_name, home.bank_account, ""


def _tail(kind: str, number: str) -> str:
    return alipay_account.tail(number) if kind == "alipay" else last_four(number)


def _apply(home: Household, row: AccountProposal, actor: Actor) -> None:
    before = _standing(home, row.kind)
    if before != (row.bank_before, row.account_before, row.name_before) or (not row.removes and died_since(home.id, row.proposed_at)):
        raise Conflict("account.stale", N_("提出以后，这户的账户或收款的人已经变了。请退回这一次，对照现在的登记重新提出。"))
    change = AccountCorrection(
        organisation_id=row.organisation_id, household_id=home.id, kind=row.kind, bank_before=before[0], last4_before=_tail(row.kind, before[1]),
        last4_after=row.last4, reason=row.reason, at=clock.now(), by_id=row.proposed_by_id, approved_by_id=actor.person_id,
    )  # fmt: skip
    change.account_before, change.name_before = before[1:]
    if row.kind == "alipay":
        home.alipay_account, home.alipay_name = row.account, row.payee_name
    else:
        home.bank_name, home.bank_account = row.bank_name, row.account
    home.version += 1
    db.session.add(change)
    db.session.flush()
    audit.record(
        "household.account_corrected", home, person_id=actor.person_id, organisation_id=actor.organisation_id,
        correction_id=change.id, proposal_id=row.id,
    )  # fmt: skip


_SEPARATORS = str.maketrans("", "", " -\u3000\t")
