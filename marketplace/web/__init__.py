"""Entrance: pages that work without scripts."""

import importlib
import pkgutil
from typing import Any

from flask import Blueprint, Flask
from flask_wtf.csrf import CSRFProtect

csrf = CSRFProtect()


def register(app: Flask) -> None:
    """Attach every page of this package (a module with a ``bp``), the filters, the error pages and the headers."""
    from marketplace.web import errors, limits, page_cache, shown

    page_cache.register(app)  # first: a kept page asks for nothing of what follows
    csrf.init_app(app)
    limits.register(app)
    shown.register(app)
    errors.register(app)
    for found in pkgutil.iter_modules(__path__):
        page: Any = importlib.import_module(f"{__name__}.{found.name}")
        if isinstance(getattr(page, "bp", None), Blueprint):
            app.register_blueprint(page.bp)
