"""What mends what was recorded wrongly of what left, as it stands in the account book."""

import pytest
from flask import Flask

from marketplace.foundation.database import transaction
from marketplace.ledger import event, share_event
from marketplace.ledger.posting import Source
from tests.ledger import account_book
from tests.ledger.account_book import read


@pytest.mark.both
def test_a_payout_that_was_made_after_all_is_the_households_or_the_cooperatives_to_bear(app: Flask) -> None:
    book = account_book.opened().cooperative
    transaction(lambda: mended(book))


def mended(book: int) -> None:
    entry = share_event.payout_found(book=book, source=Source("payout_found", 1), household_id=102, fen=620)
    assert read(entry) == "debit  household household:102 6.20\ncredit bank 6.20"
    # Of the second it had been paid 5.00 already; it comes back.
    entry = share_event.payout_found(book=book, source=Source("payout_found", 2), household_id=102, fen=620, beyond_fen=500)
    assert read(entry) == "debit  household household:102 1.20\ndebit  outside 5.00\ncredit bank 6.20"
    back = share_event.payout_found_back(book=book, source=Source("payout_found", 2), household_id=102, fen=500)
    assert read(back) == "debit  household household:102 5.00\ncredit outside 5.00"
    unmade = share_event.payout_unmade(book=book, source=Source("payout_reversal", 2), household_id=102, fen=620, beyond_fen=500, reverses_id=entry)
    assert read(unmade) == "debit  bank 6.20\ncredit household household:102 1.20\ncredit outside 5.00"


@pytest.mark.both
def test_a_refund_that_nothing_was_held_for_is_the_cooperatives_loss(app: Flask) -> None:
    book = account_book.opened().cooperative

    def lost() -> None:
        assert read(event.refund_lost(book=book, source=Source("refund_loss", 1), fen=620, channel="alipay")) == "debit  outside 6.20\ncredit alipay 6.20"
        assert read(event.refund_lost(book=book, source=Source("refund_loss", 2), fen=1, channel="stripe")) == "debit  outside 0.01\ncredit stripe 0.01"

    transaction(lost)
