"""What the schedule does every night: what the day before did gets its leaves, and the log its head."""

from collections import Counter

from marketplace.disclosure import log_append, tree_head
from marketplace.foundation.database import transaction


def close_the_day(done: Counter[str]) -> None:
    """Log everything, and sign a head if a day has begun since the last."""
    transaction(log_append.decide)
    while some := transaction(log_append.append):
        done["logged"] += some
    if transaction(lambda: tree_head.publish() if tree_head.due() else None):
        done["tree heads"] += 1
