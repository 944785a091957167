"""Payout (代发): a distribution's money on its way to households' accounts, as a bank's batch file or as Alipay transfers.

Made by the accountant, checked by the director; frozen by hash at approval; results imported; a returned item is issued again
under a new number linked to the old. Whatever its size, a batch changes in a handful of statements.
"""

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Select, select, update
from sqlalchemy.orm import aliased

from marketplace.foundation import audit, clock
from marketplace.foundation.config import settings
from marketplace.foundation.database import db, locked, new_public_id, not_found
from marketplace.foundation.errors import Conflict
from marketplace.foundation.language import N_
from marketplace.households.household import Household
from marketplace.ledger import share_event
from marketplace.ledger.posting import Source
from marketplace.organisations import approval
from marketplace.organisations.actor import Actor, own_row
from marketplace.payments import transfer
from marketplace.settlement import (
    household_credit,
    payout_cap,
    payout_import,
    payout_item,
    payout_layout,
    payout_part,
    payout_recall,
    payout_transfer,
)
from marketplace.settlement.distribution_share import Distribution
from marketplace.settlement.payout_answer import Result
from marketplace.settlement.payout_import import Changed
from marketplace.settlement.payout_item import (
    BATCH_STATES,
    ITEM_STATES,
    UNSEEN,
    Due,
    PayoutBatch,
    PayoutItem,
    seen_anew,
)
from marketplace.settlement.payout_recall import PayoutRecall

__all__ = [
    "BATCH_STATES", "ITEM_STATES", "PayoutBatch", "PayoutItem", "approve", "bank_file", "bank_file_path", "bank_file_sent", "by_number", "go_on",
    "going", "import_results", "items_of", "make", "mark_sent", "must_go_by", "purpose_of", "recall", "reissue", "returned", "start", "take_results",
    "use_layout", "withdraw",
]  # fmt: skip


def make(distribution_id: int, *, actor: Actor, channel: str = "bank", layout_id: int | None = None) -> PayoutBatch:
    """A draft batch of what a posted distribution gave and nobody pays yet, over ``channel`` (bank, alipay). By the accountant.

    ``layout_id``: how the bank's file is written; None is the first preset.

    Households without an account there stay out, and what is above the cap of the month (PAYOUT_CAP_FEN): what they are owed stays
    on their ledger account. Raises Conflict ``payout.unposted`` or ``payout.empty``, OutsideFailure ``transfer.unopened``.
    """
    payout_cap.hold(actor.organisation_id)
    distribution = locked(Distribution, distribution_id)
    actor.must_have("COOPERATIVE", "accountant")
    if actor.organisation_id != distribution.organisation_id:
        raise not_found(Distribution)
    household_credit.must_be_channel(channel)
    if distribution.state != "POSTED":
        raise Conflict("payout.unposted", N_("分配公示结束、记入各户之后，才能代发。"))
    counted = household_credit.counted(distribution, channel)
    due: list[Due] = [(household, now, None) for household, _code, now, _fen in db.session.execute(household_credit.payable(distribution, channel))]
    if not due:
        raise Conflict("payout.empty", N_("这份分配没有待发的钱。"))
    if channel == "alipay":
        payout_transfer.must_be_open(distribution.organisation_id)
    return _draft(distribution, due, actor=actor, channel=channel, above=(counted.above, counted.above_fen), layout_id=layout_id)


def withdraw(batch_id: int, *, actor: Actor, version: int) -> PayoutBatch:
    """The accountant takes back a batch that nobody has decided on, and its money can be batched anew."""
    row = own_row(PayoutBatch, batch_id, actor, "accountant")
    row.must_be("DRAFT")
    row.must_be_version(version)
    audit.record("payout.withdrawn", row, person_id=actor.person_id)
    return _cancel(row)


def approve(batch_id: int, *, actor: Actor, version: int, approved: bool = True, reason: str = "") -> PayoutBatch:
    """The director's decision. Approved, the batch's files are written once and frozen by their SHA-256; returned (also after approval,
    while nobody has it), the batch is cancelled and its money can be batched anew.

    Raises OwnWork if the director made it, Conflict ``payout.unwritable`` for what the bank's file cannot hold, ``payout.handed_out`` for
    what the bank may have.
    """
    row = own_row(PayoutBatch, batch_id, actor, "director")
    row.must_be(*(("DRAFT",) if approved else ("DRAFT", "APPROVED")))
    row.must_be_version(version)
    if not approved:
        payout_recall.must_be_back(row, actor=actor)
    approval.decide(row, maker_id=row.made_by_id, actor=actor, version=version, approved=approved, reason=reason)
    if not approved:
        return _cancel(row)
    row.sha256 = payout_transfer.freeze(row) if row.channel == "alipay" else payout_part.freeze(row, purpose_of(row))
    row.state, row.approved_at, row.approved_by_id = "APPROVED", clock.now(), actor.person_id
    _become(row, "approved")
    audit.record("payout.frozen", row, person_id=actor.person_id, sha256=row.sha256, items=row.items, total_fen=row.total_fen)
    db.session.flush()
    return row


def recall(batch_id: int, reason: str, *, actor: Actor, version: int) -> PayoutRecall:
    """Say that the bank never got the file that was taken, so that another person can return the batch. Raises as ``payout_recall.say``."""
    row = own_row(PayoutBatch, batch_id, actor, "accountant", "director")
    row.must_be_version(version)
    return payout_recall.say(row, reason, actor=actor)


def use_layout(batch_id: int, layout_id: int | None, *, actor: Actor, version: int) -> PayoutBatch:
    """Write a draft's file in another bank's way. By the accountant; once approved nothing changes any more."""
    row = own_row(PayoutBatch, batch_id, actor, "accountant")
    row.must_be("DRAFT")
    row.must_be_version(version)
    chosen = payout_layout.chosen(layout_id, row.organisation_id)
    row.layout_id, row.form = chosen.id if chosen else None, payout_layout.form_for(chosen)
    db.session.flush()
    audit.record("payout.layout", row, person_id=actor.person_id, layout=chosen.name if chosen else "")
    db.session.flush()
    return row


def purpose_of(row: PayoutBatch) -> str:
    """What the payment is for, as it stands in the bank's file."""
    return f"{db.session.get_one(Distribution, row.distribution_id).period} 联农收益"


def bank_file(batch_id: int, *, actor: Actor, part: int = 1) -> tuple[str, bytes]:
    """Name and bytes of a frozen file; see ``bank_file_path``."""
    name, path = bank_file_path(batch_id, actor=actor, part=part)
    return name, path.read_bytes()


def bank_file_path(batch_id: int, *, actor: Actor, part: int = 1) -> tuple[str, Path]:
    """What a frozen file is called and where it lies; see ``bank_file_sent``."""
    return bank_file_sent(batch_id, actor=actor, part=part)[:2]


def bank_file_sent(batch_id: int, *, actor: Actor, part: int = 1) -> tuple[str, Path, str]:
    """What a frozen file is called, where it lies and as what it is sent, for the accountant or the director. Every reading is audited.

    Raises Conflict ``payout.unapproved``, ``payout.state`` of a cancelled batch (its households are in another one by now),
    ``payout.altered`` if the bytes no longer have the hash of the approval; NotFound for a part that there is not.
    """
    row = own_row(PayoutBatch, batch_id, actor, "accountant", "director")
    row.must_be("DRAFT", "APPROVED", "SENT", "DONE")
    ((its, path),) = payout_part.frozen(row, part)
    audit.record(payout_recall.READ, row, person_id=actor.person_id, sha256=its.sha256, part=part)
    db.session.flush()
    if row.channel == "alipay":
        return f"{row.number}.csv", path, payout_transfer.MEDIA_TYPE
    return payout_part.name_of(row, its), path, payout_part.media_type(payout_layout.form_of(row))


def mark_sent(batch_id: int, *, actor: Actor, version: int | None = None) -> PayoutBatch:
    """The frozen file was handed over: each household's money is in transit until the answer comes."""
    row = own_row(PayoutBatch, batch_id, actor, "accountant", "director")
    row.must_be("APPROVED")
    must_go_by("bank", row)
    row.must_be_version(row.version if version is None else version)
    payout_part.frozen(row)
    return _sent(row, actor)


def start(batch_id: int, *, actor: Actor, version: int) -> PayoutBatch:
    """Have the job transfer what was approved, one household at a time: each household's money is in transit until Alipay has answered.

    By the accountant or the director. Raises Conflict ``payout.altered``, OutsideFailure ``transfer.unopened``.
    """
    row = own_row(PayoutBatch, batch_id, actor, "accountant", "director")
    row.must_be("APPROVED")
    must_go_by("alipay", row)
    row.must_be_version(version)
    payout_transfer.start(row)
    return _sent(row, actor)


def go_on(batch_id: int, *, actor: Actor, version: int) -> PayoutBatch:
    """The balance was filled, or the limit is over: a batch that stopped goes on. Conflict ``payout.state`` if it has not stopped."""
    row = own_row(PayoutBatch, batch_id, actor, "accountant", "director")
    row.must_be("SENT")
    row.must_be_version(version)
    if row.stopped_at is None:
        raise Conflict("payout.state", N_("这一批代发现在的状态不能办这一步，请刷新页面看看。"), state=row.state)
    left = payout_transfer.go_on(row)
    audit.record("payout.went_on", row, person_id=actor.person_id, left=left)
    db.session.flush()
    return row


def going(batch_id: int, *, actor: Actor) -> list[int]:
    """The transfers of a batch over Alipay that are not at their end, for the accountant or the director who has them asked about now."""
    row = own_row(PayoutBatch, batch_id, actor, "accountant", "director")
    must_go_by("alipay", row)
    row.must_be("SENT", "DONE")
    audit.record("payout.asked", row, person_id=actor.person_id)
    return transfer.going(payout_transfer.KIND, row.id)


def _sent(row: PayoutBatch, actor: Actor) -> PayoutBatch:
    share_event.payout_sent_by(
        book=row.organisation_id,
        source=Source("payout_batch", row.id),
        households=select(PayoutItem.household_id, PayoutItem.fen).where(PayoutItem.batch_id == row.id),
    )
    _become(row, "sent")
    row.state, row.sent_at = "SENT", clock.now()
    audit.record("payout.sent", row, person_id=actor.person_id, total_fen=row.total_fen)
    db.session.flush()
    return row


def import_results(batch_id: int, content: bytes, *, actor: Actor) -> Changed:
    """Apply the bank's results file; how many items changed. All of it or nothing: InvalidInput lists every bad line.

    paid: the bank's debit is recorded. returned: debit, and the credit back to the household's account; also after "paid", as
    banks do days later. refused: never debited, back to the household. The same result again changes nothing; any other
    change is Conflict ``payout.contradiction``. When no item waits any more, the batch is done. Results of a file that somebody took
    and nobody recorded as handed over say that it was. Of what was cancelled or came back here and the bank says it paid, and of what
    two people found against its results, a second person is asked; the rest of the file is applied.
    """
    row = _told(batch_id, actor)
    return payout_import.apply(row, payout_import.read(row, content), person_id=actor.person_id)


def take_results(batch_id: int, results: Sequence[Result], *, actor: Actor) -> Changed:
    """The same of a results file that was read before."""
    return payout_import.apply(_told(batch_id, actor), results, person_id=actor.person_id)


def reissue(batch_id: int, *, actor: Actor, channel: str = "") -> PayoutBatch:
    """A new draft batch, linked to the old, of the items that came back; to the accounts the households have now.

    By the accountant; the director approves it as any other. ``channel``: the old one's unless named. The cap of the month holds as
    in ``make``: what came back and is above it waits. Raises Conflict ``payout.nothing_returned``, ``payout.capped``.
    """
    payout_cap.hold(actor.organisation_id)
    row = own_row(PayoutBatch, batch_id, actor, "accountant")
    channel = channel or row.channel
    household_credit.must_be_channel(channel)
    counted = household_credit.counted_again(row, channel)
    due: list[Due] = [(household, now, item) for household, now, item in db.session.execute(household_credit.payable_again(row, channel))]
    if not due and counted.above:
        raise Conflict("payout.capped", N_("退回的款项都超过了一户一个月的上限，下个月再补发。"))
    if not due:
        raise Conflict("payout.nothing_returned", N_("这一批没有退回的款项。"))
    if channel == "alipay":
        payout_transfer.must_be_open(row.organisation_id)
    fresh = _draft(
        db.session.get_one(Distribution, row.distribution_id), due, actor=actor, channel=channel, reissue_of_id=row.id,
        above=(counted.above, counted.above_fen), layout_id=payout_layout.still_offered(row.layout_id),
    )  # fmt: skip
    again = select(PayoutItem.reissue_of_id).where(PayoutItem.batch_id == fresh.id)
    db.session.execute(update(PayoutItem).where(PayoutItem.id.in_(again)).values(state="reissued"), **UNSEEN)
    seen_anew()
    return fresh


def returned(batch_id: int) -> Select[PayoutItem, Household]:
    """(item, household) of what came back and waits to be issued again, in order of code."""
    return (
        select(PayoutItem, Household)
        .join(Household, Household.id == PayoutItem.household_id)
        .where(PayoutItem.batch_id == batch_id, PayoutItem.state == "returned")
        .order_by(Household.code)
    )


def items_of(batch_id: int) -> list[PayoutItem]:
    """A batch's items in the order of its file: for a batch that is known to be small."""
    return list(db.session.scalars(select(PayoutItem).where(PayoutItem.batch_id == batch_id).order_by(PayoutItem.sequence)))


def by_number(number: str) -> PayoutBatch:
    """The batch with our number. NotFound if there is none."""
    row = db.session.scalars(select(PayoutBatch).where(PayoutBatch.number == number)).one_or_none()
    if row is None:
        raise not_found(PayoutBatch)
    return row


def must_go_by(channel: str, row: PayoutBatch) -> None:
    """Raise Conflict ``payout.channel`` unless the batch goes over this channel."""
    if row.channel != channel:
        words = N_("这一批走支付宝，由系统一笔一笔去转、去问结果，没有银行的文件和回盘。") if row.channel == "alipay" else N_("这一批走银行，由会计把文件交给银行。")
        raise Conflict("payout.channel", words)


def _told(batch_id: int, actor: Actor) -> PayoutBatch:
    """The batch, held, of which the bank's results are at hand."""
    row = own_row(PayoutBatch, batch_id, actor, "accountant", "director")
    must_go_by("bank", row)
    payout_recall.must_be_out(row)
    if row.state == "APPROVED":
        payout_part.frozen(row)
        _sent(row, actor)
    return row


def _draft(
    distribution: Distribution, due: Sequence[Due], *, actor: Actor, channel: str, reissue_of_id: int | None = None, above: tuple[int, int] = (0, 0),
    layout_id: int | None = None,
) -> PayoutBatch:
    layout = payout_layout.chosen(layout_id, distribution.organisation_id)
    row = PayoutBatch(
        organisation_id=distribution.organisation_id,
        distribution_id=distribution.id,
        number=f"DF{clock.business_date():%Y%m%d}-{new_public_id()[:10].upper()}",
        channel=channel,
        total_fen=sum(fen for _household, fen, _again in due),
        items=len(due),
        made_at=clock.now(),
        made_by_id=actor.person_id,
        reissue_of_id=reissue_of_id,
        cap_fen=settings().payout_cap_fen,
        held_back_households=above[0],
        held_back_fen=above[1],
        layout_id=layout.id if layout and channel == "bank" else None,
        form=payout_layout.form_for(layout) if channel == "bank" else None,
        version=1,
    )
    db.session.add(row)
    db.session.flush()
    payout_item.write(row, due)
    audit.record(
        "payout.made", row, person_id=actor.person_id, distribution_id=distribution.id, items=row.items, total_fen=row.total_fen,
        channel=channel, held_back_fen=row.held_back_fen,
    )  # fmt: skip
    db.session.flush()
    return row


def _cancel(row: PayoutBatch) -> PayoutBatch:
    # What a cancelled re-issue wanted to send came back before: it waits for another one, unless two people found meanwhile that it had been
    # paid. Of what it wanted to send a part only, the rest may be in another batch by now: all that is left is owed of the distribution.
    before = aliased(PayoutItem)
    again = select(before.id).join(PayoutItem, PayoutItem.reissue_of_id == before.id).where(PayoutItem.batch_id == row.id, PayoutItem.fen == before.fen)
    again = again.where(before.state == "reissued")
    db.session.execute(update(PayoutItem).where(PayoutItem.id.in_(again)).values(state="returned"), **UNSEEN)
    seen_anew()
    row.state = "CANCELLED"
    db.session.flush()
    return row


def _become(row: PayoutBatch, state: str) -> None:
    db.session.execute(update(PayoutItem).where(PayoutItem.batch_id == row.id).values(state=state), **UNSEEN)
    seen_anew()
