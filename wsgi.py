"""The door for servers: ``granian --interface wsgi wsgi:app``, and for ``flask`` in the checkout."""

from marketplace import create_app

app = create_app()
