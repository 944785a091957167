"""Entrance: the machine's doors, Alipay's notices and health."""

import importlib
import pkgutil
from typing import Any

from flask import Flask


def register(app: Flask) -> None:
    """Attach every door of this package (a module with a ``bp``)."""
    for found in pkgutil.iter_modules(__path__):
        door: Any = importlib.import_module(f"{__name__}.{found.name}")
        if hasattr(door, "bp"):
            app.register_blueprint(door.bp)
