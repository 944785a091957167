"""A cooperative that may pay households over Alipay, the emulator inside the test, and answers that get lost when a test says so."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

from flask import Flask

from marketplace.emulator import fault
from marketplace.emulator import transfer as at_alipay
from marketplace.emulator.emulator import IN_PROCESS_URL, Emulator
from marketplace.foundation import clock, outbox
from marketplace.foundation.config import settings
from marketplace.foundation.database import db, transaction
from marketplace.households.household import Household
from marketplace.organisations.organisation import Cooperative
from marketplace.payments.alipay import AlipayClient
from marketplace.payments.alipay_certificate import read_certificates
from marketplace.payments.alipay_transport import Lost
from marketplace.payments.channel import EXTENSION
from marketplace.payments.seller_channel import SellerChannel
from marketplace.payments.transfer import Transfer
from marketplace.settlement import payout_batch
from marketplace.settlement.payout_batch import PayoutBatch, PayoutItem
from tests.builders import Market

TRANSFER, QUERY = "alipay.fund.trans.uni.transfer", "alipay.fund.trans.common.query"


class AlipayDesk:
    """``lose`` is asked before and after each request whether it gets lost there; ``asked`` holds the methods that arrived."""

    def __init__(self, app: Flask, market: Market, *, fen: int = 100_000, certificates: bool = True) -> None:
        self.emulator = Emulator(settings().data_dir / "emulator")
        self.asked: list[str] = []
        self.lose: Callable[[str, str], bool] = lambda method, when: False
        seller = db.session.query(Cooperative).where(Cooperative.organisation_id == market.cooperative).one()
        self.app_id, self.seller_id = seller.alipay_app_id, seller.alipay_seller_id
        private = self.emulator.register_demo_app(self.app_id, self.seller_id, "合作社")
        self.client = AlipayClient(f"{IN_PROCESS_URL}/gateway.do", self.app_id, self.seller_id, private, self.emulator.public_key_pem, transport=self)
        if certificates:
            self.emulator.register_certificate(self.app_id)
            self.client = replace(self.client, certificates=read_certificates(self.emulator.certificates, self.app_id))
        app.extensions[EXTENSION] = lambda _organisation_id: SellerChannel(self.client)
        if fen:
            self.fill(fen)

    def fill(self, fen: int) -> None:
        """So much comes into the balance there."""
        self.emulator.pay_order(app_id=self.app_id, out_trade_no=f"F{len(self.rows('SELECT 1 FROM trade'))}", total_fen=fen, subject="茶")

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        method = parse_qs(urlsplit(url).query)["method"][0]
        if self.lose(method, "before"):
            raise Lost("timeout")
        self.asked.append(method)
        answer = self.emulator.post(url, body, headers)
        if self.lose(method, "after"):
            raise Lost("timeout")
        return answer

    def get(self, url: str) -> bytes:
        return self.emulator.get(url)

    def loses(self, method: str, when: str, times: int = 1) -> None:
        """The next requests of this method get lost, before or after Alipay acted."""
        left = [times]

        def lose(asked: str, at: str) -> bool:
            if (asked, at) != (method, when) or not left[0]:
                return False
            left[0] -= 1
            return True

        self.lose = lose

    def fault(self, kind: str, number: str = "", nth: int = 1) -> None:
        fault.order(self.emulator.state, kind=kind, out_trade_no=number, nth=nth)

    def end(self, number: str, status: str) -> None:
        at_alipay.end(self.emulator.state, self.app_id, number, status)

    def rows(self, query: str) -> list[dict[str, object]]:
        return [dict(each) for each in self.emulator.state.rows(query)]

    @property
    def went(self) -> list[int]:
        """What left the balance and is not back, in fen, in order of its amounts."""
        return sorted(each["fen"] for each in self.rows("SELECT fen FROM transfer WHERE status = 'SUCCESS'"))  # type: ignore[type-var]


def with_accounts(*households: int) -> None:
    """These have an Alipay account, 1380000…, in the name of the head of the household."""
    with transaction():
        for number in households:
            home = db.session.get_one(Household, number)
            home.alipay_account, home.alipay_name = f"1380000{number:04d}", f"王{'一二三四五六七八九十'[number % 10]}"


def made(market: Market, distribution_id: int) -> PayoutBatch:
    return transaction(lambda: payout_batch.make(distribution_id, actor=market.accountant, channel="alipay"))


def approved(market: Market, distribution_id: int) -> PayoutBatch:
    row = made(market, distribution_id)
    return transaction(lambda: payout_batch.approve(row.id, actor=market.director, version=1))


def started(market: Market, distribution_id: int) -> PayoutBatch:
    row = approved(market, distribution_id)
    return transaction(lambda: payout_batch.start(row.id, actor=market.accountant, version=row.version))


def rounds(count: int = 1, *, after: timedelta = timedelta(0)) -> None:
    """The job, so many times, each time late enough for whatever waited."""
    for number in range(count):
        with clock.travel(clock.now() + after + timedelta(hours=7 * number, seconds=1)):
            outbox.drain(kinds={"transfer", "transfer.look"})


def transfers(row: PayoutBatch) -> list[Transfer]:
    db.session.expire_all()
    return list(db.session.query(Transfer).where(Transfer.bundle_id == row.id).order_by(Transfer.id))


def states(row: PayoutBatch) -> list[str]:
    """How its items stand, in order."""
    db.session.expire_all()
    return [item.state for item in payout_batch.items_of(row.id)]


def item(row: PayoutBatch, place: int) -> PayoutItem:
    db.session.expire_all()
    return payout_batch.items_of(row.id)[place]
