"""The door for servers: ``granian --interface wsgi wsgi:app``, and for ``flask`` in the checkout."""

import gc

from marketplace import create_app

app = create_app()
# What stands for good need not be looked at again, by the collector or at the end: leaving takes half a second less.
gc.freeze()
