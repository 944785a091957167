"""What every other rung stands on: a closed list of nouns that know nothing of the market. Whoever adds one, adds it here.

``audit``        blame: who did what to what
``clock``        time: one that tests can move
``config``       settings: read once, typed
``connection``   databases: two, each begun as it must be
``crypto``       secrecy: personal data at rest
``database``     transactions: the one place that commits
``document``     paper: PDF from data
``driver``       speed: few statements past the session
``errors``       trouble: five kinds
``files``        evidence: bytes by their sum, with an owner
``grants``       rights: of the application's own database role
``idempotency``  repeats: the same request has one effect
``language``     words: Chinese, and English beside it
``locale``       words: the catalogue that ``language`` reads
``migrations``   change: one line of editions of the tables
``money``        fen: whole, and split without loss
``outbox``       outside: what must happen there is a row first
``sheet``        workbooks: read without trust
``workdays``     days: on which the state works
"""
