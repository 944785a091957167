"""The roads of the county office beside its queues: the county as a whole, targets, the bulletin, organisations, the audit."""

from typing import Any

from marketplace.foundation.language import gettext as _


def county_roads() -> list[tuple[Any, ...]]:
    """(label, endpoint) each, for the operator's navigation."""
    return [(_("任务"), "operator_targets.index")]
