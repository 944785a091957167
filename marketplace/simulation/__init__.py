"""Entrance: trades days through the same functions the screens use."""

from flask import Flask


def register(app: Flask) -> None:
    """Attach this entrance to the application."""
