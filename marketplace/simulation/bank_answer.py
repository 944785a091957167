"""What the simulated bank answers to a payout: nearly all is paid, and of some it goes as with real banks.

What becomes of a payment is drawn from its batch and not from the day: so the bank remembers it for days, whatever of the market dies in between, and the
same trade meets the same bank. Nothing here is known to the cooperative but by a results file or a statement.
"""

import random
from collections.abc import Sequence

from marketplace.foundation import clock
from marketplace.settlement.payout_answer import RESULT_HEADER
from marketplace.settlement.payout_batch import PayoutBatch, PayoutItem
from marketplace.settlement.payout_file import yuan

# Of a batch at most one payment each: paid and credited back days later, which the statement shows before a file says so; "processing", and then
# paid or returned; returned by a first file that is wrong, since it was paid.
LIKELY = {"late": 0.3, "slow": 0.2, "slow back": 0.2, "wrong": 0.3}
# Days after the file was handed over on which the bank sets a wrong row right, credits back, says so in a file, and ends what was processing.
RIGHT, LATE, SAYS_LATE, SLOW = 2, 3, 4, 4
FORGETS = 20  # days after which the bank says nothing more of a batch


def fates(batch: PayoutBatch) -> dict[int, str]:
    """What becomes of the payments, by sequence, that are not simply paid or returned. What is issued again is paid."""
    if batch.reissue_of_id is not None or batch.sent_at is None:
        return {}
    chance = random.Random(f"{batch.organisation_id}-{batch.items}-{batch.total_fen}-{clock.business_date(batch.sent_at)}")
    drawn = [(chance.randrange(batch.items) + 1, name) for name, likely in LIKELY.items() if chance.random() < likely]
    return dict(drawn)


def age(batch: PayoutBatch) -> int:
    """Days since the bank got the file."""
    assert batch.sent_at is not None
    return (clock.business_date() - clock.business_date(batch.sent_at)).days


def first(batch: PayoutBatch, items: Sequence[PayoutItem], back: int) -> bytes:
    """The file of the day after; ``back`` is the place of a payment that came back at once, unless something else becomes of it."""
    known = fates(batch)
    words = {"slow": "unknown,处理中", "slow back": "unknown,处理中", "wrong": "returned,账号不符"}
    said = [(item, words.get(known.get(item.sequence, ""), "paid,")) for item in items]
    if 0 <= back < len(items) and items[back].sequence not in known:
        said[back] = items[back], "returned,账号不符"
    return _file(batch, said)


def later(batch: PayoutBatch, items: Sequence[PayoutItem]) -> bytes:
    """What the bank says today of what it had not said, or not rightly; empty if there is nothing to say."""
    known, days = fates(batch), age(batch)
    said = []
    for item in items:
        fate = known.get(item.sequence, "")
        if item.state == "unknown" and days >= SLOW:
            said.append((item, "returned,账户状态异常" if fate == "slow back" else "paid,"))
        elif fate == "wrong" and item.state == "returned" and days >= RIGHT:
            said.append((item, "paid,"))
        elif fate == "late" and item.state in ("returned", "reissued") and days == SAYS_LATE:
            said.append((item, "returned,账号已销户"))
    return _file(batch, said) if said else b""


def credited_back(batch: PayoutBatch, items: Sequence[PayoutItem]) -> list[PayoutItem]:
    """What the bank credits back today though its file said that it was paid."""
    known = fates(batch)
    return [item for item in items if known.get(item.sequence) == "late" and item.state == "paid" and age(batch) >= LATE]


def never_came_back(batch: PayoutBatch, items: Sequence[PayoutItem]) -> set[int]:
    """Households whose payment a file called returned though it was paid: no statement shows them."""
    known = fates(batch)
    return {item.household_id for item in items if known.get(item.sequence) == "wrong"}


def _file(batch: PayoutBatch, said: Sequence[tuple[PayoutItem, str]]) -> bytes:
    return "\n".join([",".join(RESULT_HEADER), *(f"{batch.number},{item.sequence},{yuan(item.fen)},{words}" for item, words in said)]).encode()
