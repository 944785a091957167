"""The whole market, open on this machine's loopback: the county's seed, the shop's pages, and the emulator of Alipay's gateway.

Requests, signatures and notices are real; only the clock is the story's, for the shop, the emulator and the jobs alike.
"""

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select
from werkzeug.serving import WSGIRequestHandler, make_server

from marketplace import create_app
from marketplace.emulator.server import Running
from marketplace.foundation import clock
from marketplace.foundation.config import read_settings
from marketplace.foundation.database import db
from marketplace.jobs import schedule
from marketplace.organisations.actor import Actor, by_name
from marketplace.organisations.organisation import Cooperative, Organisation


class LiveShop:
    """``address`` is where a browser finds it. ``move(days=8)`` lets days pass, ``job("settle")`` does what falls due."""

    def __init__(self, app: Flask, address: str) -> None:
        self.app, self.address = app, address
        self._left = timedelta()
        self._began = time.monotonic()
        self._start = clock.now()

    def now(self) -> datetime:
        """The story's present: it goes on while the story is told."""
        return self._start + self._left + timedelta(seconds=time.monotonic() - self._began)

    def move(self, *, to: datetime | None = None, days: int = 0) -> None:
        """Let days pass; to a moment at once."""
        self._left += (to - self.now()) if to else timedelta(days=days)

    @contextmanager
    def acting(self, login: str) -> Iterator[Actor]:
        """Somebody at work without a browser: functions of the domain called as this person."""
        with self.app.app_context():
            yield by_name(login)
            db.session.remove()

    def job(self, name: str) -> str:
        """Run a job of the schedule once; what it says."""
        return schedule.once(self.app, name)


class _Quiet(WSGIRequestHandler):
    def log(self, *_: object) -> None:
        pass


@contextmanager
def _open(folder: Path, begins: datetime, patch: pytest.MonkeyPatch) -> Iterator[LiveShop]:
    settings = read_settings({}, environment="test", data_dir=folder, secret_key="t" * 40)
    app = create_app(settings)
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    shop = LiveShop(app, f"http://127.0.0.1:{server.server_port}")
    patch.setattr(clock, "now", shop.now)
    shop.move(to=begins)
    gateway = Running(folder / "emulator", port=0)
    app.extensions["settings"] = replace(settings, base_url=shop.address, alipay_gateway=gateway.gateway_url)
    with app.app_context():
        sellers = select(Cooperative, Organisation.name_zh).join(Organisation, Organisation.id == Cooperative.organisation_id)
        for seller, name in db.session.execute(sellers):
            gateway.emulator.register_demo_app(seller.alipay_app_id, seller.alipay_seller_id, name)
        db.session.remove()
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    gateway.start()
    serving.start()
    try:
        yield shop
    finally:
        server.shutdown()
        serving.join()
        server.server_close()
        gateway.stop()
        with app.app_context():
            db.engine.dispose()


@pytest.fixture
def live_shop(
    request: pytest.FixtureRequest, seeded_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LiveShop]:
    """A market of this test's own; ``@pytest.mark.parametrize("live_shop", [MONDAY], indirect=True)`` says when it begins."""
    shutil.copytree(seeded_folder, tmp_path / "market")
    with _open(tmp_path / "market", request.param, monkeypatch) as shop:
        yield shop
