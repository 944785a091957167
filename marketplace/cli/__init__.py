"""Entrance: the terminal. Every operation an officer runs by night or by hand, with the same checks as the screens."""

import importlib

from flask import Flask

# Each module holds one click command or group of its own, named ``group``.
MODULES: tuple[str, ...] = (
    "books", "emulator", "county", "demo", "distribute", "key", "log", "payout", "person", "reconcile", "search_rebuild", "seed", "settle",
)  # fmt: skip


def register(app: Flask) -> None:
    """Attach every module's ``group`` to ``flask``."""
    for name in MODULES:
        app.cli.add_command(importlib.import_module(f"marketplace.cli.{name}").group)
