"""Measuring. ``python -m bench`` (``make bench``) runs all parts, ``python -m bench pages orders`` some; each writes its own section
of docs/performance.md. A new part is a module here with a function under ``@part``: see ``part.py``. Loopback only."""
