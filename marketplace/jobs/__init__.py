"""Entrance: what runs by itself, safe to run twice."""

from flask import Flask


def register(app: Flask) -> None:
    """Attach ``flask jobs``."""
    from marketplace.jobs.command import group

    app.cli.add_command(group)
