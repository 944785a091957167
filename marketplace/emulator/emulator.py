"""The emulator as one object: its folder, its keys, its applications, and a door for programs that run it inside themselves.

The door takes the same signed requests through the same code as the network does; only the sockets are missing.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from marketplace.emulator import bill, cashier, certificate, gateway, notice, trade, withdrawal
from marketplace.emulator.keys import (
    APP_ID_PREFIX,
    KeyPair,
    demo_app_keys,
    gateway_keys,
    load_public,
    refuse_production,
    root_keys,
)
from marketplace.emulator.refusal import invalid
from marketplace.emulator.state import State
from marketplace.emulator.trade import Order
from marketplace.foundation import clock
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_

IN_PROCESS_URL = "http://emulator.invalid"


class Emulator:
    """``folder`` is the emulator's own (DATA_DIR/emulator). With ``delivers`` notices wait for a Postman, else for ``notices``."""

    def __init__(self, folder: Path, *, delivers: bool = False) -> None:
        refuse_production()
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.keys = gateway_keys(folder)
        self.state = State(folder / "emulator.sqlite3", delivers=delivers)
        if (self.certificates / "alipay.crt").exists():
            self._open_certificates()

    @property
    def public_key_pem(self) -> str:
        """Alipay's public key, as far as this emulator is Alipay."""
        return self.keys.public_pem

    def register_app(self, app_id: str, app_public_key_pem: str, seller_id: str, name: str = "") -> None:
        """Make an application known, or change its key, seller (16 digits beginning 2088) or name on the cashier's page.

        Raises InvalidInput ``emulator.app`` unless the app_id is letters and digits beginning ``2021EMU`` and the key is RSA.
        """
        if not re.fullmatch(APP_ID_PREFIX + "[0-9A-Z]{1,20}", app_id) or not re.fullmatch(
            "2088[0-9]{12}", seller_id
        ):
            raise InvalidInput(
                "emulator.app",
                N_("模拟网关的应用号或卖家号不合规：%(app_id)s %(seller_id)s"),
                app_id=app_id,
                seller_id=seller_id,
            )
        try:
            load_public(app_public_key_pem)
        except ValueError as error:
            raise InvalidInput("emulator.app", N_("应用公钥无法识别：%(app_id)s"), app_id=app_id) from error
        with self.state.transaction() as write:
            write.execute(
                "INSERT INTO app (app_id, seller_id, name, public_key) VALUES (?, ?, ?, ?) ON CONFLICT (app_id) DO UPDATE"
                " SET seller_id = excluded.seller_id, name = excluded.name, public_key = excluded.public_key",
                (app_id, seller_id, name, app_public_key_pem),
            )

    @property
    def certificates(self) -> Path:
        """The folder of root.crt, alipay.crt and one certificate for each application that works with one."""
        return self.folder / "certificates"

    def register_certificate(self, app_id: str) -> str:
        """From now on a registered application must name its certificate, and is answered with one; its PEM."""
        app = self.state.row("SELECT * FROM app WHERE app_id = ?", app_id)
        if app is None:
            raise invalid("app_id")
        self._open_certificates()
        made = certificate.of_application(self.certificates, app_id, app["public_key"], root_keys(self.folder))
        with self.state.transaction() as write:
            write.execute("UPDATE app SET cert_sn = ? WHERE app_id = ?", (certificate.serial_number(made), app_id))
        return made

    def _open_certificates(self) -> None:
        signer = root_keys(self.folder)
        self.state.root_cert_sn = certificate.serial_number(certificate.root(self.certificates, signer))
        self.state.alipay_cert_sn = certificate.serial_number(certificate.of_alipay(self.certificates, self.keys, signer))

    def register_demo_app(self, app_id: str, seller_id: str, name: str = "") -> str:
        """``register_app`` with the demonstration's own key; returns that key's private half (PEM, PKCS#8)."""
        self.register_app(app_id, self._demo_keys.public_pem, seller_id, name)
        return self._demo_keys.private_pem

    @cached_property
    def _demo_keys(self) -> KeyPair:
        return demo_app_keys(self.folder)

    def pay_url(self, url: str) -> list[dict[str, str]]:
        """Open the cashier of a page, wap or merge URL, or of a scanned code, pay, and return the signed notices, one a trade.

        Raises Refusal as the gateway would.
        """
        scanned = urlsplit(url).path.startswith("/cashier/")
        with self.state.transaction():
            if scanned:
                token = Path(urlsplit(url).path).name
            else:
                pairs = parse_qsl(urlsplit(url).query, keep_blank_values=True, strict_parsing=True)
                token = gateway.open_page(self.state, pairs)
            shown = cashier.pay(self.state, token)
            assert shown is not None
            return [
                form for each in shown.trades for form in self.notices(each["app_id"], each["out_trade_no"])
            ]

    def pay_order(self, *, app_id: str, out_trade_no: str, total_fen: int, subject: str) -> dict[str, str]:
        """A trade of the application's own seller, made and paid at once without a page; returns its signed notice."""
        app = self.state.row("SELECT * FROM app WHERE app_id = ?", app_id)
        if app is None:
            raise invalid("app_id")
        order = Order(app_id, out_trade_no, app["seller_id"], total_fen, subject)
        with self.state.transaction():
            trade.open_trade(self.state, order, expires_at=clock.now() + timedelta(days=1), notify_url="")
            trade.pay(self.state, [(app_id, out_trade_no)])
            return self.notices(app_id, out_trade_no)[-1]

    def notices(self, app_id: str, out_trade_no: str) -> list[dict[str, str]]:
        """The signed notices of a trade that nobody was told yet, oldest first; they count as delivered."""
        return notice.take(self.state, self.keys.private, app_id, out_trade_no)

    def finish(self, app_id: str, out_trade_no: str) -> None:
        """End a trade's time for refunds (TRADE_FINISHED)."""
        trade.finish(self.state, app_id, out_trade_no)

    def withdraw(self, seller_id: str, fen: int) -> str:
        """The seller takes money from its balance to its bank, as on Alipay's own pages; Alipay's number of it."""
        return withdrawal.withdraw(self.state, seller_id, fen)

    def refuse_withdrawal(self, order_id: str) -> None:
        """The bank refuses a withdrawal, and Alipay has the money again."""
        withdrawal.refuse(self.state, order_id)

    def close(self) -> None:
        """Close the state file."""
        self.state.close()

    # The two methods of a transport: what an Alipay client posts and fetches is answered here, without a network.

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        """The response to a gateway request."""
        pairs = parse_qsl(urlsplit(url).query, keep_blank_values=True)
        pairs += parse_qsl(body.decode(), keep_blank_values=True)
        answer = gateway.node(self.state, pairs, IN_PROCESS_URL)
        method, cert_sn = dict(pairs).get("method", ""), gateway.cert_sn(self.state, pairs)
        return gateway.envelope(self.keys.private, method, answer, cert_sn=cert_sn)

    def get(self, url: str) -> bytes:
        """A bill's zip; empty if its address is no more."""
        return bill.download(self.state, Path(urlsplit(url).path).stem) or b""
