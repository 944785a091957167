"""Remittance (划款): what leaves a cooperative's bank account for those it belongs to, other than households.

To a village collective, to the relief fund's legal holder, or the cooperative's own revenue taken out. The accountant proposes, the
director approves, the accountant pays at the bank and records it: only then is it posted. With what leaves for a collective or the fund,
refunds that came after an earlier remittance are recovered: of all that is taken from the account at most the published cap.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, String, func, literal, null, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock, idempotency
from marketplace.foundation.config import settings
from marketplace.foundation.database import Model, Public, Staged, Versioned, db, new_public_id
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_
from marketplace.foundation.money import format_yuan
from marketplace.ledger import account, balance, event, share_event
from marketplace.ledger.posting import Source
from marketplace.organisations import approval
from marketplace.organisations.actor import Actor, own_row
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.region import Region
from marketplace.payments import bank_transfer
from marketplace.payments.withdrawal import Withdrawal

KINDS = ("COLLECTIVE", "FUND", "REVENUE")
OPEN = ("PROPOSED", "APPROVED")
# Whose share a kind takes from, and where what a refund took beyond it waits.
SHARES = {"COLLECTIVE": ("village_collective", "village_recoverable"), "FUND": ("relief_fund", "fund_recoverable")}
HOLDERS = 1  # which of a remittance's entries of one kind is in the fund's holder's book
# What is read one by one: no collective has a claim on what another has.
EACH = ("village_collective", "village_recoverable")
# What a cooperative's accounts hold for others: everything that it owes in money.
_OTHERS = ("unapplied", "buyer_funds", "refunds_payable", "household_pool", "household", "in_transit", "village_collective", "relief_fund")


class Remittance(Public, Versioned, Staged, Model):
    """One transfer. ``number`` goes into its remark at the bank; ``paid_on`` and ``bank_serial`` are the bank's. ``recovered_fen`` is taken
    from the same account beside ``fen``, for earlier refunds, and goes nowhere: the cooperative has paid it to buyers already."""

    __tablename__ = "remittance"
    not_now = ("remittance.state", N_("这笔划款现在的状态不能办这一步，请刷新页面看看。"))
    __table_args__ = (
        CheckConstraint("kind IN ('COLLECTIVE','FUND','REVENUE')", name="kind"),
        CheckConstraint("state IN ('PROPOSED','APPROVED','PAID','RETURNED','WITHDRAWN')", name="state"),
        CheckConstraint("fen > 0", name="fen"),
        CheckConstraint("(kind = 'COLLECTIVE') = (village_id IS NOT NULL)", name="village"),
        CheckConstraint("approved_by_id IS NULL OR approved_by_id <> proposed_by_id", name="two_people"),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    kind: Mapped[str] = mapped_column(String(12))
    village_id: Mapped[int | None] = mapped_column(ForeignKey("region.id"))
    number: Mapped[str] = mapped_column(String(30), unique=True)
    fen: Mapped[int]
    recovered_fen: Mapped[int] = mapped_column(default=0, server_default="0")
    note: Mapped[str] = mapped_column(String(200), default="")
    state: Mapped[str] = mapped_column(String(10), default="PROPOSED")
    proposed_at: Mapped[datetime]
    proposed_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    approved_at: Mapped[datetime | None]
    approved_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    paid_on: Mapped[date | None]
    bank_serial: Mapped[str] = mapped_column(String(40), default="")
    recorded_at: Mapped[datetime | None]
    withdrawn_at: Mapped[datetime | None]
    withdrawn_reason: Mapped[str] = mapped_column(String(300), default="")
    returned_on: Mapped[date | None]  # the bank sent it back (``remittance_back``)
    returned_row_id: Mapped[int | None]  # the statement's row that says so


@dataclass(frozen=True)
class Share:
    """A collective's or the fund's account, what is on its way taken off: ``left_fen`` on it (below zero: a refund took it since), and
    ``owed_fen`` that refunds took beyond it and nothing on its way recovers."""

    left_fen: int = 0
    owed_fen: int = 0

    @property
    def most_fen(self) -> int:
        """What may be proposed, the recovery that goes with all of it off."""
        return self.left_fen - max(0, min(self.owed_fen, self.left_fen * _cap_bp() // 10_000))

    def recovered(self, fen: int) -> int:
        """What a remittance of ``fen`` recovers beside it: of both together at most the cap."""
        cap = _cap_bp()
        most = self.left_fen if cap == 10_000 else fen * cap // (10_000 - cap)
        return max(0, min(self.owed_fen, most, self.left_fen - fen))


@dataclass(frozen=True)
class Available:
    """What is there to be remitted, in fen. ``own_fen`` = money in both accounts less all that is others', and no more than lies in the
    bank, what is proposed or approved off."""

    villages: dict[int, Share]
    fund: Share
    own_fen: int
    bank_fen: int
    alipay_fen: int
    others_fen: int

    @property
    def collectives(self) -> dict[int, int]:
        return {village: share.most_fen for village, share in self.villages.items()}

    @property
    def fund_fen(self) -> int:
        return self.fund.most_fen

    def share(self, kind: str, village_id: int | None = None) -> Share:
        return self.fund if kind == "FUND" else self.villages.get(village_id or 0, Share())

    def of(self, kind: str, village_id: int | None = None) -> int:
        return self.own_fen if kind == "REVENUE" else self.share(kind, village_id).most_fen


def _cap_bp() -> int:
    return min(settings().recovery_cap_bp, 10_000)


def available(organisation_id: int, book: Mapping[tuple[str, str], int] | None = None) -> Available:
    """From the cooperative's book, exact to the last posting; ``book`` if it was read already, with ``EACH`` one by one."""
    book = balance.of_book(organisation_id, *EACH) if book is None else book
    held: Counter[str] = Counter()
    for (kind, _ref), fen in book.items():
        # Nobody has a claim on what is another's: an account below nothing would make the others' sum too small.
        held[kind] += max(0, fen) if kind in _OTHERS else fen
    going: Counter[tuple[str, int | None]] = Counter()
    recovering: Counter[tuple[str, int | None]] = Counter()
    waiting = select(Remittance.kind, Remittance.village_id, func.sum(Remittance.fen), func.sum(Remittance.recovered_fen)).where(
        Remittance.organisation_id == organisation_id, Remittance.state.in_(OPEN)
    )
    # What was withdrawn from Alipay and has not arrived cannot be paid out yet.
    on_its_way = select(literal("WITHDRAWAL"), null(), func.coalesce(func.sum(Withdrawal.fen), 0), literal(0)).where(
        Withdrawal.organisation_id == organisation_id, Withdrawal.state == "SENT"
    )
    for kind, village_id, fen, recovered in db.session.execute(
        waiting.group_by(Remittance.kind, Remittance.village_id).union_all(on_its_way)
    ):
        going[kind, village_id] = int(fen) + int(recovered)
        recovering[kind, village_id] = int(recovered)
    bank, alipay = held["bank"], held["alipay"]
    others = sum(held[kind] for kind in _OTHERS)
    owed = _by_village(book, "village_recoverable")
    return Available(
        villages={
            village: Share(fen - going["COLLECTIVE", village], owed.get(village, 0) - recovering["COLLECTIVE", village])
            for village, fen in _by_village(book, "village_collective").items()
        },
        fund=Share(book.get(("relief_fund", ""), 0) - going["FUND", None], held["fund_recoverable"] - recovering["FUND", None]),
        own_fen=min(bank - going["WITHDRAWAL", None], bank + alipay - others) - going["REVENUE", None],
        bank_fen=bank,
        alipay_fen=alipay,
        others_fen=others,
    )


def propose(
    kind: str, fen: int, *, village_id: int | None = None, note: str = "", actor: Actor, key: str
) -> Remittance:
    """Ask for a transfer of ``fen``. By the cooperative's accountant; the same ``key`` again is the same row.

    Raises InvalidInput ``remittance.kind`` or ``remittance.fen``, Conflict ``remittance.short`` beyond what is available.
    """
    actor.must_have("COOPERATIVE", "accountant")
    if kind not in KINDS or (kind == "COLLECTIVE") != (village_id is not None):
        raise InvalidInput("remittance.kind", N_("请选择划给谁。"), field="kind")
    if fen <= 0:
        raise InvalidInput("remittance.fen", N_("请填写划款金额，例如 1,234.50。"), field="amount")

    def work() -> dict[str, Any]:
        _lock(actor.organisation_id, kind, village_id)
        now = _must_suffice(actor.organisation_id, kind, village_id, fen)
        row = Remittance(
            organisation_id=actor.organisation_id, kind=kind, village_id=village_id, fen=fen, note=note.strip()[:200],
            recovered_fen=0 if kind == "REVENUE" else now.share(kind, village_id).recovered(fen),
            number=f"HK{clock.business_date():%Y%m%d}-{new_public_id()[:8].upper()}", proposed_at=clock.now(),
            proposed_by_id=actor.person_id, version=1,
        )  # fmt: skip
        db.session.add(row)
        db.session.flush()
        audit.record("remittance.proposed", row, person_id=actor.person_id, kind=kind, fen=fen)
        return {"id": row.id}

    asked = {"kind": kind, "village_id": village_id, "fen": fen}
    answer = idempotency.once(f"remittance:{actor.organisation_id}", key, asked, work)
    return db.session.get_one(Remittance, answer["id"])


def approve(remittance_id: int, *, actor: Actor, version: int, approved: bool = True, reason: str = "") -> Remittance:
    """The director's decision; returned, it is withdrawn with the reason. OwnWork if the director proposed it.

    Raises Conflict ``remittance.short`` if a refund has taken from the account since.
    """
    row = own_row(Remittance, remittance_id, actor, "director")
    row.must_be("PROPOSED")
    row.must_be_version(version)
    approval.decide(row, maker_id=row.proposed_by_id, actor=actor, version=version, approved=approved, reason=reason)
    if not approved:
        return _take_back(row, reason)
    _lock(row.organisation_id, row.kind, row.village_id)
    _must_suffice(row.organisation_id, row.kind, row.village_id, 0)
    row.state, row.approved_at, row.approved_by_id = "APPROVED", clock.now(), actor.person_id
    db.session.flush()
    return row


def record_paid(remittance_id: int, *, paid_on: date, bank_serial: str, actor: Actor, version: int) -> Remittance:
    """The bank has carried it out on ``paid_on`` (Beijing) under its serial number: post it. By the accountant.

    What the bank did is a fact and is posted as such: what a refund took from the share since the approval is recoverable. Raises as
    ``bank_transfer.record``.
    """
    row = own_row(Remittance, remittance_id, actor, "accountant")
    row.must_be("APPROVED")
    row.must_be_version(version)
    bank_serial = bank_transfer.record(bank_serial, paid_on, source=("remittance", row.id), agreed_at=row.approved_at, actor=actor)
    row.state, row.paid_on, row.bank_serial, row.recorded_at = "PAID", paid_on, bank_serial, clock.now()
    _post(row, bank_transfer.moment_of(paid_on))
    audit.record("remittance.paid", row, person_id=actor.person_id, fen=row.fen, recovered_fen=row.recovered_fen)
    db.session.flush()
    return row


def _post(row: Remittance, at: datetime) -> None:
    book, source = row.organisation_id, Source("remittance", row.id)
    if row.kind == "REVENUE":
        event.revenue_taken_out(book=book, source=source, fen=row.fen, at=at)
        return
    share, recoverable = SHARES[row.kind]
    owner = account.owner_of(share, row.village_id)
    account.lock([account.named(kind, book, owner) for kind in (share, recoverable)])
    held, owed = max(0, balance.held(share, book, owner)), balance.held(recoverable, book, owner)
    beyond_fen = row.fen - min(row.fen, held)
    row.recovered_fen = max(0, min(row.recovered_fen, owed, held - row.fen))
    if row.village_id is not None:
        share_event.collective_paid(book=book, source=source, village_id=row.village_id, fen=row.fen, beyond_fen=beyond_fen, at=at)
        if row.recovered_fen:
            share_event.collective_recovered(book=book, source=source, village_id=row.village_id, fen=row.recovered_fen, at=at)
        return
    holder = fund_holder().id
    share_event.fund_remitted(book=book, holder_book=holder, source=source, fen=row.fen, beyond_fen=beyond_fen, at=at)
    if row.recovered_fen:
        share_event.fund_recovered(book=book, source=source, fen=row.recovered_fen, at=at)
    if holder != book:
        _make_good(row, holder, at)


def _make_good(row: Remittance, holder: int, at: datetime) -> None:
    """What the fund's holder laid out of other money, when the bank sent back a remittance of which some had been given back."""
    account.lock([account.named(kind, holder) for kind in SHARES["FUND"]])
    fen = min(balance.held("fund_recoverable", holder), balance.held("relief_fund", holder))
    if fen > 0:
        share_event.fund_recovered(book=holder, source=Source("remittance", row.id, HOLDERS), fen=fen, at=at)


def withdraw(remittance_id: int, *, actor: Actor, version: int, reason: str) -> Remittance:
    """Take back what the bank has not carried out, with a reason. By the accountant or the director."""
    row = own_row(Remittance, remittance_id, actor, "accountant", "director")
    row.must_be(*OPEN)
    row.must_be_version(version)
    if not reason.strip():
        raise InvalidInput("reason.missing", N_("撤回时请写明理由。"), field="reason")
    audit.record("remittance.withdrawn", row, person_id=actor.person_id)
    return _take_back(row, reason)


def fund_holder() -> Organisation:
    """Who legally holds the relief fund: FUND_HOLDER names it, else the operator."""
    query = select(Organisation)
    code = settings().fund_holder
    query = query.where(Organisation.code == code) if code else query.where(Organisation.kind == "OPERATOR")
    row = db.session.scalars(query.order_by(Organisation.id).limit(1)).first()
    if row is None:
        raise Conflict("fund.holder", N_("没有设定防贫基金由谁持有，请联系县运营方。"))
    return row


def payee_name(row: Remittance) -> str:
    """To whom a remittance goes, by the name under which the market knows them."""
    if row.village_id is not None:
        return db.session.get_one(Region, row.village_id).name_zh
    return (fund_holder() if row.kind == "FUND" else db.session.get_one(Organisation, row.organisation_id)).name_zh


def _lock(organisation_id: int, kind: str, village_id: int | None) -> None:
    """Two proposals at once must not promise the same fen."""
    name = SHARES[kind][0] if kind in SHARES else "outside"
    account.lock([account.named(name, organisation_id, account.owner_of(name, village_id))])


def _must_suffice(organisation_id: int, kind: str, village_id: int | None, fen: int) -> Available:
    now = available(organisation_id)
    left = now.of(kind, village_id)
    if fen > left:
        raise Conflict("remittance.short", N_("现在最多能划 ¥%(left)s。"), left=format_yuan(max(0, left)), left_fen=left)
    return now


def _by_village(book: Mapping[tuple[str, str], int], kind: str) -> dict[int, int]:
    return {int(ref.partition(":")[2]): fen for (its, ref), fen in book.items() if its == kind}


def _take_back(row: Remittance, reason: str) -> Remittance:
    row.state, row.withdrawn_at, row.withdrawn_reason = "WITHDRAWN", clock.now(), reason.strip()[:300]
    db.session.flush()
    return row
