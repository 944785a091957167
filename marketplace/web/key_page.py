"""Lists paged by key: a page begins after a row, not after a count of rows, so it stays the same page while rows come and go."""

from collections.abc import Mapping
from typing import Any

from flask import request
from sqlalchemy import and_, or_, select

from marketplace.foundation.database import db
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_

# What a list can be sorted by: name in the address → (expression, whether it falls).
Sorts = Mapping[str, tuple[Any, bool]]


def chosen(name: str, among: Any, default: str) -> str:
    """The filter ``name`` of the address; InvalidInput for a value that the list does not know."""
    value = request.args.get(name, "") or default
    if value not in among:
        raise InvalidInput("view.bad", N_("没有这样的筛选。"), field=name)
    return value


def after(query: Any, model: Any, sorts: Sorts, sort: str, last_id: int | None, at: Any = None) -> Any:
    """``query`` in the order of ``sort``, beginning after the row ``last_id``. One statement more where that row is named.

    ``at`` selects the key of a row where that takes more tables than the model's own.
    """
    key, falling = sorts[sort]
    query = query.order_by(key.desc() if falling else key, model.id.desc() if falling else model.id)
    if last_id is None:
        return query
    at = db.session.scalar((select(key).select_from(model) if at is None else at).where(model.id == last_id))
    if falling:
        return query.where(or_(key < at, and_(key == at, model.id < last_id)))
    return query.where(or_(key > at, and_(key == at, model.id > last_id)))
