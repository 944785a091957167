"""The same press twice at once: the second waits for the first and gets its answer; nothing is opened twice."""

import threading

import pytest
from flask import Flask
from sqlalchemy import func, select

from marketplace.foundation.database import db, transaction
from marketplace.orders import order_payment
from marketplace.payments.payment import Payment
from tests import builders
from tests.orders import trade


@pytest.mark.both
def test_eight_presses_of_one_button_open_one_attempt(app: Flask) -> None:
    market = builders.market()
    orders = trade.placed(builders.customer(), (market.pack, 1))
    ready, answers = threading.Barrier(8), []

    def press() -> None:
        with app.app_context():
            ready.wait()
            answers.append(transaction(lambda: [each.id for each in order_payment.open_for_orders(orders, key="pressed")], attempts=10))
            db.session.remove()

    threads = [threading.Thread(target=press) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    db.session.rollback()
    assert len(answers) == 8 and all(each == answers[0] for each in answers)
    assert db.session.scalar(select(func.count()).select_from(Payment)) == 1
