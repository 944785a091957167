"""The verifiable log: what keeping the tree costs over bare hashing, and what logging, proving and verifying bring through the database."""

import random
import shutil
import time
from collections.abc import Callable, Iterator
from hashlib import sha256

from bench.part import Run, figure, middle, part, table

LEAVES = 500_000
BATCH = 2_000  # as the job appends
ENTRIES = 20_000
LEAST = 0.80


@part("log", "The verifiable log", order=60)
def measure(run: Run) -> Iterator[str]:
    data = [b"%0200d" % n for n in range(LEAVES)]
    taken = run.in_turn({"bare": lambda: _cpu(lambda: _bare(data)), "kept": lambda: _cpu(lambda: _kept(data))})
    bare, kept = (middle(taken[name]) for name in ("bare", "kept"))
    ratio = bare / kept
    yield (
        f"Appending {LEAVES:,} leaves of 200 bytes in batches of {BATCH:,}, in memory, with every node kept, beside a loop that hashes each leaf and as"
        f" many inner nodes and keeps nothing (processor time): **{ratio:.2f}** of its speed, {figure(LEAVES / kept)} leaves a second."
        f" To reach: {LEAST:.2f}{'' if ratio >= LEAST else ', **missed**'}."
    )
    yield table(
        ("through the database, entries of two lines", *run.engines),
        zip(
            ("given their leaf, a second", "inclusion proofs made, a second", "leaves computed again from the books, a second"),
            *(_engine(run, engine) for engine in run.engines),
            strict=True,
        ),
    )


def _bare(data: list[bytes]) -> None:
    last = bytes(32)
    for each in data:
        sha256(b"\x00" + each).digest()
        sha256(b"\x01" + last + last).digest()


def _kept(data: list[bytes]) -> None:
    from marketplace.disclosure import hash_tree

    levels: list[list[bytes]] = [[] for _ in range(LEAVES.bit_length() + 1)]  # each level's nodes, joined a batch
    newest: dict[int, bytes] = {}
    for start in range(0, len(data), BATCH):
        fresh = [sha256(b"\x00" + each).digest() for each in data[start : start + BATCH]]
        edge = {(level, number): newest[level] for level, number in hash_tree.nodes_of(0, start)}
        for level, (_, nodes) in enumerate(hash_tree.grown(start, edge, fresh)):
            levels[level].append(b"".join(nodes))
            newest[level] = nodes[-1]
    assert hash_tree.root(len(data), lambda wanted: {each: newest[each[0]] for each in wanted})
    assert sum(len(chunk) for level in levels for chunk in level) == 32 * (2 * len(data) - len(data).bit_count())


def _cpu(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _engine(run: Run, engine: str) -> list[str]:
    """What one database brings, each thing once: it is told for orientation, not compared."""
    if engine == "sqlite":
        return _through(run, engine, "")
    from tests.postgres import postgres_server

    with postgres_server() as server:
        return _through(run, engine, server.create_database("log"))


def _through(run: Run, engine: str, address: str) -> list[str]:
    from marketplace import create_app
    from marketplace.disclosure import log_append, log_check, log_leaf
    from marketplace.foundation import clock
    from marketplace.foundation.config import read_settings
    from marketplace.foundation.database import db, transaction
    from marketplace.ledger import account
    from marketplace.ledger.posting import Draft, Line, Source, post_many
    from marketplace.organisations.organisation import Organisation

    folder = run.folder / f"log-{engine}"
    shutil.rmtree(folder, ignore_errors=True)
    app = create_app(read_settings({}, environment="test", data_dir=folder, database_url=address, secret_key="t" * 40))
    with app.app_context():
        db.create_all()
        with transaction():
            owner = Organisation(kind="COOPERATIVE", name_zh="量", created_at=clock.now(), version=1)
            db.session.add(owner)
            db.session.flush()
            book = owner.id
            one, other = account.named("alipay", book), account.named("buyer_funds", book)
        for start in range(0, ENTRIES, BATCH):
            drafts = [
                Draft("alipay_paid", Source("payment", n), book, [Line(one, n + 1), Line(other, -n - 1)]) for n in range(start, start + BATCH)
            ]
            transaction(lambda drafts=drafts: post_many(drafts))  # type: ignore[misc]

        def log() -> None:
            transaction(log_append.decide)
            while transaction(log_append.append):
                pass

        chance = random.Random(1)
        chosen = [chance.randrange(ENTRIES) for _ in range(1_000)]
        logged = _wall(log)
        proved = _wall(lambda: [log_leaf.inclusion(seq, ENTRIES) for seq in chosen])
        db.session.rollback()
        reports: list[log_check.Report] = []
        verified = _wall(lambda: reports.append(log_check.check()))
        assert (reports[0].leaves, reports[0].findings) == (ENTRIES, [])
        db.session.remove()
        db.engine.dispose()
    shutil.rmtree(folder, ignore_errors=True)
    return [figure(ENTRIES / logged), figure(len(chosen) / proved), figure(ENTRIES / verified)]


def _wall(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began
