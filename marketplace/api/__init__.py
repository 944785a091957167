"""Entrance: api."""

from flask import Flask


def register(app: Flask) -> None:
    """Attach this entrance to the application."""
