"""``flask emulator``: the Alipay emulator as a process of its own, knowing every cooperative of the market."""

import click
from flask.cli import with_appcontext
from sqlalchemy import select

from marketplace.emulator.emulator import Emulator
from marketplace.emulator.server import serve
from marketplace.foundation.config import settings
from marketplace.foundation.database import db
from marketplace.organisations.organisation import Cooperative, Organisation


@click.group("emulator")
def group() -> None:
    """The emulator of Alipay's gateway, for demonstrations and tests; no real money, never in production."""


@group.command("run")
@click.option("--port", type=click.IntRange(1024, 65535), default=8001, show_default=True, help="Where the gateway answers, on loopback.")
@click.option("--notice-speed", type=click.FloatRange(1, 10_000), default=1.0, show_default=True, help="60: a minute between two tries of a notice passes in a second.")
@with_appcontext
def run(port: int, notice_speed: float) -> None:
    """Answer until SIGINT or SIGTERM. Makes its keys and keeps its trades under DATA_DIR/emulator."""
    if settings().is_production:
        raise click.ClickException("MARKET_ENV is production: the emulator does not run where real money moves")
    known = register_cooperatives()
    db.session.remove()
    db.engine.dispose()
    click.echo(f"Emulator of {known} sellers on http://127.0.0.1:{port}/gateway.do")
    serve(port=port, data_dir=settings().data_dir, notice_speed=notice_speed)


def register_cooperatives() -> int:
    """Make every cooperative's demonstration application known to the emulator; how many."""
    query = select(Cooperative.alipay_app_id, Cooperative.alipay_seller_id, Organisation.name_zh).join(
        Organisation, Organisation.id == Cooperative.organisation_id
    )
    emulator = Emulator(settings().data_dir / "emulator")
    rows = db.session.execute(query).all()
    for app_id, seller_id, name in rows:
        emulator.register_demo_app(app_id, seller_id, name)
        emulator.register_certificate(app_id)  # without one it could not transfer to households
    emulator.close()
    return len(rows)
