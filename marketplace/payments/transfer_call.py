"""How a transfer is sent: by the outbox, one call at a time, asked for first and last by its number where an earlier try stayed unknown.

A refusal speaks of one request. If another went before it without an answer, that one may still have arrived: only when the channel knows
of none has the transfer failed. What the channel has under this number for somebody else never ends by itself: ``transfer_ending``.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast

from marketplace.foundation import clock, outbox
from marketplace.foundation.database import get, locked
from marketplace.foundation.errors import Conflict, OutsideFailure
from marketplace.foundation.language import N_
from marketplace.payments import call, transfer
from marketplace.payments.alipay_transfer import PAYER_IS_SHORT
from marketplace.payments.channel import NOT_PERMITTED, NOT_TRANSFERRED, Answer, Payer, client_for
from marketplace.payments.further_call import Further, Whose, further
from marketplace.payments.transfer import GOING, MESSAGE, Transfer

ASKS = "transfers"  # a worker of their own: a batch of thousands takes a while, and a refund must not wait for it
SEND, ASK = "transfer", "transfer_query"
LOOK = "transfer.look"  # a question after the success: days later it may have come back
LOOK_AGAIN = timedelta(days=1)
INCONSISTENT = "inconsistent"  # the number was used for another amount or payee; of the payee a question tells nothing


@outbox.handles(MESSAGE, asks=ASKS)
def _carry(payload: dict[str, Any]) -> None:
    """Bring one transfer nearer to its end; OutsideFailure while it has none. What is stopped waits until its bundle goes on."""
    if carry(int(payload["transfer_id"])) in GOING:
        raise OutsideFailure("channel.unknown", N_("支付渠道没有给出明确的结果，稍后自动再问。"))


def carry(transfer_id: int) -> str:
    """Ask about one transfer, and send it if Alipay does not know it, now; how it stands then ("held": its bundle is stopped). Harmless
    beside the job, and to repeat. Raises OutsideFailure ``channel.stopped``. Never inside a transaction."""
    state = call.standing(SEND, transfer_id)
    if state in ("sending", "unknown"):
        call.send(ASK, transfer_id)
        state = call.standing(SEND, transfer_id)
    # Only what the channel does not know may be sent, and sent again.
    if state == "waiting":
        call.send(SEND, transfer_id)
        state = call.standing(SEND, transfer_id)
    return state


@outbox.handles(LOOK, asks=ASKS)
def _look(payload: dict[str, Any]) -> None:
    """Ask once more about one that succeeded."""
    number = int(payload["transfer_id"])
    if call.standing(ASK, number) == "succeeded" and call.send(ASK, number) == "unknown":
        raise OutsideFailure("channel.unknown", N_("支付渠道没有给出明确的结果，稍后自动再问。"))


def look(transfer_id: int, *, after: timedelta = timedelta(0)) -> None:
    """Have the job ask whether a transfer that succeeded came back."""
    outbox.put(LOOK, str(transfer_id), {"transfer_id": transfer_id}, due_at=clock.now() + after)


def _whose(transfer_id: int) -> Whose:
    row = get(Transfer, transfer_id)
    return Whose(row.organisation_id, "alipay", row.account)


def _standing(transfer_id: int) -> str:
    """Its state, or "held" while nothing of its bundle is sent."""
    row = get(Transfer, transfer_id)
    return "held" if row.state == "waiting" and transfer.handlers[row.payable_kind].is_stopped(row) else row.state


def _opened(kind: str, transfer_id: int) -> str:
    """About to be sent: from here on it may have happened, whatever becomes of us."""
    row = locked(Transfer, transfer_id)
    if kind == SEND:
        if row.state != "waiting":
            raise Conflict("transfer.state", N_("这一笔转账已经有结果，或者正在办。"), state=row.state)
        transfer.handlers[row.payable_kind].must_be_agreed(row)
        row.state, row.refused = "sending", False
        row.sent += 1
    return row.out_biz_no


def _question(kind: str, transfer_id: int) -> Callable[[], Answer]:
    row = get(Transfer, transfer_id)
    client = cast(Payer, client_for(row.organisation_id, account=row.account, seller_id=row.seller_id))
    if kind == SEND:
        return partial(client.transfer, row.out_biz_no, row.fen, row.payee_account, row.payee_name, row.title)
    return partial(client.transfer_query, row.out_biz_no, row.fen)


def _record(kind: str, transfer_id: int, answer: Answer) -> None:
    status = answer.told.get("status", "")
    if answer.outcome == "succeeded" and kind == ASK and _is_anothers(transfer_id):
        transfer.unsure(transfer_id, INCONSISTENT)
    elif answer.outcome == "succeeded":
        at = answer.told.get("paid_at")
        if transfer.succeed(transfer_id, str(answer.told.get("order_id", "")), datetime.fromisoformat(at) if at else None):
            look(transfer_id, after=LOOK_AGAIN)
    elif status == "REFUND":
        transfer.come_back(transfer_id, answer.sub_code)
    elif status in ("FAIL", "CLOSED"):
        transfer.fail(transfer_id, answer.sub_code or status)
    elif kind == SEND and answer.told.get("of_kind"):
        _refused(transfer_id, Answer("refused", sub_code=NOT_PERMITTED, told={"passing": True}))  # an answer, and a plain no to this request
    elif answer.outcome == "unknown":
        transfer.unsure(transfer_id, answer.sub_code)
    elif kind == ASK:
        # A question that never left says nothing of the transfer.
        if answer.sub_code == NOT_TRANSFERRED:
            _not_known(transfer_id)
    else:
        _refused(transfer_id, answer)


def _is_anothers(transfer_id: int) -> bool:
    """Whether the channel said, when it was sent last, that this number is another amount's or payee's: a success may be that one's."""
    sent = call.last_of(SEND, transfer_id)
    return sent is not None and (sent.answer or {}).get("sub_code") == INCONSISTENT and get(Transfer, transfer_id).state in GOING


def _not_known(transfer_id: int) -> None:
    """The channel knows of no such transfer: it failed if it was refused for good, else the identical one may be sent again."""
    row = locked(Transfer, transfer_id)
    if row.state not in GOING:
        return
    row.state = "waiting"
    if row.refused:
        transfer.fail(transfer_id, row.sub_code)


def _refused(transfer_id: int, answer: Answer) -> None:
    row = locked(Transfer, transfer_id)
    if row.state not in GOING:
        return
    alone = row.sent == 1
    if answer.told.get("passing"):
        row.state, row.sub_code = ("waiting" if alone else "unknown"), answer.sub_code[:60]
        row.sent = 0 if alone else row.sent
        if answer.sub_code in (*PAYER_IS_SHORT, NOT_PERMITTED):
            transfer.handlers[row.payable_kind].short(row, answer.sub_code)
    elif alone:
        transfer.fail(transfer_id, answer.sub_code)
    else:
        row.state, row.sub_code, row.refused = "unknown", answer.sub_code[:60], True


further.update({kind: Further(_whose, _standing, _opened, _question, _record) for kind in (SEND, ASK)})
