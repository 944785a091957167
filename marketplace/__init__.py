"""The county market. ``create_app`` assembles the packages of the ladder and does nothing else."""

import importlib
import pkgutil

from flask import Flask
from flask_migrate import Migrate
from werkzeug.middleware.proxy_fix import ProxyFix

from marketplace.foundation.config import Settings, read_settings

# The rungs that hold tables, from the ground up. Every noun file of theirs is loaded, so that the metadata is whole.
RUNGS = (
    "foundation", "organisations", "notices", "errands", "ledger", "households", "catalogue", "supply", "search",
    "payments", "orders", "settlement", "procurement", "disclosure", "reporting",
)  # fmt: skip
ENTRANCES = ("web", "api", "cli", "jobs", "simulation")


def create_app(config: Settings | None = None) -> Flask:
    """The application for ``config`` (default: read from the environment; BadConfiguration if it cannot be).

    RuntimeError if a route declares no permission.
    """
    settings = config or read_settings()
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    app = Flask("marketplace", root_path=_top(), template_folder="templates", static_folder="static")
    app.extensions["settings"] = settings
    app.config.update(
        SECRET_KEY=settings.secret_key,
        SQLALCHEMY_DATABASE_URI=settings.sqlalchemy_url,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.secure_cookies,
        PERMANENT_SESSION_LIFETIME=60 * 60 * 12,
        MAX_CONTENT_LENGTH=21 * 1024 * 1024,
        MAX_FORM_MEMORY_SIZE=1024 * 1024,
        TEMPLATES_AUTO_RELOAD=settings.debug,
        WTF_CSRF_TIME_LIMIT=None,
        BABEL_DEFAULT_LOCALE="zh",
        BABEL_TRANSLATION_DIRECTORIES=f"{_top()}/marketplace/foundation/locale",
    )
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    load_tables()
    from marketplace.foundation import language
    from marketplace.foundation.database import db, of_this_engine

    db.init_app(app)
    migrations = f"{_top()}/marketplace/foundation/migrations"
    Migrate(app, db, directory=migrations, render_as_batch=True, compare_type=True, include_object=of_this_engine)
    language.register(app)
    for entrance in ENTRANCES:
        importlib.import_module(f"marketplace.{entrance}").register(app)
    from marketplace.web.permission import every_route_declares

    every_route_declares(app)
    return app


def load_tables() -> None:
    """Import every noun file of the rungs, so that all tables, hooks and handlers are known."""
    for rung in RUNGS:
        package = importlib.import_module(f"marketplace.{rung}")
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{package.__name__}.{module.name}")


def _top() -> str:
    from pathlib import Path

    return str(Path(__file__).resolve().parent.parent)
