"""Entrance: trades days through the same functions the screens use."""

from flask import Flask


def register(app: Flask) -> None:
    """Attach ``flask simulate``."""
    from marketplace.simulation.command import group

    app.cli.add_command(group)
