"""The emulator inside the simulation: the same signed requests and notices as over the network, without the sockets."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime

from flask import current_app
from sqlalchemy import select
from werkzeug.datastructures import MultiDict

from marketplace.emulator.emulator import IN_PROCESS_URL, Emulator
from marketplace.foundation import clock
from marketplace.foundation.config import settings
from marketplace.foundation.database import db, transaction
from marketplace.organisations.organisation import Cooperative, Organisation
from marketplace.payments import payment as payments
from marketplace.payments.alipay import AlipayClient, MergeOrder
from marketplace.payments.alipay_certificate import read_certificates
from marketplace.payments.alipay_notice import verify_notice
from marketplace.payments.channel import EXTENSION
from marketplace.payments.payment import Payment
from marketplace.payments.seller_channel import SellerChannel, outcome_of_notice

NOTIFY = f"{IN_PROCESS_URL}/notify"


class Gateway:
    """Pays attempts at the emulator's cashier and hears its notices as the shop's own door does."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.clients: dict[int, AlipayClient] = {}
        query = select(Cooperative, Organisation.name_zh).join(Organisation, Organisation.id == Cooperative.organisation_id)
        for cooperative, name in db.session.execute(query):
            private = emulator.register_demo_app(cooperative.alipay_app_id, cooperative.alipay_seller_id, name)
            emulator.register_certificate(cooperative.alipay_app_id)
            self.clients[cooperative.organisation_id] = AlipayClient(
                f"{IN_PROCESS_URL}/gateway.do",
                cooperative.alipay_app_id,
                cooperative.alipay_seller_id,
                private,
                emulator.public_key_pem,
                transport=emulator,
                certificates=read_certificates(emulator.certificates, cooperative.alipay_app_id),
            )

    def channel(self, organisation_id: int) -> SellerChannel:
        """What the shop asks of the gateway for this cooperative."""
        return SellerChannel(self.clients[organisation_id])

    def withdrawals(self, organisation_id: int) -> list[tuple[str, int, date]]:
        """(Alipay's number, fen, day) of what this cooperative ever took to its bank, as its pages at Alipay list it."""
        rows = self.emulator.state.rows("SELECT order_id, fen, sent_at FROM withdrawal WHERE seller_id = ? ORDER BY order_id", self.clients[organisation_id].seller_id)
        return [(row["order_id"], row["fen"], clock.business_date(datetime.fromisoformat(row["sent_at"]))) for row in rows]

    def pay(self, attempts: list[Payment]) -> None:
        """The buyer pays at the cashier; the signed notices come in, one a trade."""
        first = attempts[0]
        client = self.clients[first.organisation_id]
        if len(attempts) == 1:
            url = client.page_pay_url(
                first.out_trade_no, first.amount_fen, first.subject, notify_url=NOTIFY, return_url=NOTIFY, expires_at=first.expires_at
            )
        else:
            orders = [MergeOrder(each.app_id, each.seller_id, each.out_trade_no, each.amount_fen, each.subject) for each in attempts]
            url = client.merge_pay_url(
                orders, merge_no=first.merge_no or first.out_trade_no, notify_url=NOTIFY, return_url=NOTIFY, expires_at=first.expires_at
            )
        apps = {each.app_id for each in attempts}
        for form in self.emulator.pay_url(url):
            notice = verify_notice(MultiDict(form), alipay_public_key_pem=self.emulator.public_key_pem, app_ids=apps)
            outcome = outcome_of_notice(notice)
            transaction(lambda outcome=outcome: payments.apply(outcome))  # type: ignore[misc]


@contextmanager
def gateway() -> Iterator[Gateway]:
    """The emulator over DATA_DIR/emulator, asked by the whole application within the block."""
    emulator = Emulator(settings().data_dir / "emulator")
    opened = Gateway(emulator)
    before = current_app.extensions.get(EXTENSION)
    current_app.extensions[EXTENSION] = opened.channel
    try:
        yield opened
    finally:
        if before is None:
            del current_app.extensions[EXTENSION]
        else:
            current_app.extensions[EXTENSION] = before
        emulator.close()
