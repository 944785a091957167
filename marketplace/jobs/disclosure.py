"""The jobs of proof: every entry and notice gets its leaf within seconds, and every day its tree head."""

from marketplace.disclosure import log_append, tree_head
from marketplace.foundation.database import transaction
from marketplace.jobs.schedule import job


@job("log", 3, "give entries, notices, distributions and payouts their leaf of the verifiable log")
def log() -> str:
    transaction(log_append.decide)
    count = 0
    while some := transaction(log_append.append):
        count += some
    return f"{count} logged" if count else ""


@job("head", 600, "sign the day's tree head, and send it to whoever keeps it")
def head() -> str:
    row = transaction(lambda: tree_head.publish() if tree_head.due() else None)
    return f"head {row.number} over {row.size} leaves" if row else ""
