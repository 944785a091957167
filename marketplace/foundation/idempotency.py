"""Idempotency keys: what a person can repeat is claimed in the database before the work.

Same key and same request: the first answer again. Same key, other request: Conflict. The claim commits together with the
work, so a crash leaves neither.
"""

import hashlib
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import String, UniqueConstraint, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import clock, driver
from marketplace.foundation.database import Identified, Model, db
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_


class IdempotencyKey(Identified, Model):
    """A claimed key of one scope (an action by one organisation) and the answer that the first request got."""

    __tablename__ = "idempotency_key"
    __table_args__ = (UniqueConstraint("scope", "key"),)

    scope: Mapped[str] = mapped_column(String(80))
    key: Mapped[str] = mapped_column(String(80))
    request_hash: Mapped[str] = mapped_column(String(64))
    answer: Mapped[dict[str, Any] | None]
    claimed_at: Mapped[datetime] = mapped_column(index=True)


def once(scope: str, key: str, request: Any, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Do ``work`` the first time and give its answer; give the same answer to a repeat without doing it again.

    ``request`` is anything that json can write. Raises Conflict ``key.reused`` if the key came with another request before,
    InvalidInput ``key.bad`` if it is empty or longer than 80 characters. Call inside a transaction.
    """
    if not 1 <= len(key) <= 80:
        raise InvalidInput("key.bad", N_("这一页已经失效，请刷新后再试。"), field="key")
    digest = hashlib.sha256(json.dumps(request, sort_keys=True, ensure_ascii=False, default=str).encode()).hexdigest()
    db.session.flush()
    # On PostgreSQL a second claimant waits here until the first one commits; on SQLite transactions are one at a time.
    claimed = driver.rows(_CLAIM, scope, key, digest, clock.now())
    if not claimed:
        first = db.session.scalars(select(IdempotencyKey).where(IdempotencyKey.scope == scope, IdempotencyKey.key == key)).one()
        if first.request_hash != digest:
            raise Conflict("key.reused", N_("这一步刚才已经用别的内容提交过，请刷新页面看看结果。"))
        return first.answer or {}
    answer = work()
    db.session.flush()
    driver.rows("UPDATE idempotency_key SET answer = ? WHERE id = ?", answer, claimed[0][0])
    return answer


_CLAIM = (
    "INSERT INTO idempotency_key (scope, key, request_hash, claimed_at) VALUES (?, ?, ?, ?) ON CONFLICT (scope, key) DO NOTHING RETURNING id"
)
