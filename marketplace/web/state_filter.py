"""A list's filter by state, kept in its address: what was chosen, and the chips to choose from."""

from collections.abc import Mapping

from flask import url_for

from marketplace.foundation.language import gettext as _
from marketplace.web import key_page


def chosen(words: Mapping[str, str]) -> str:
    """The state that the address asks for, "" for all. InvalidInput ``view.bad`` for one that there is not."""
    return key_page.chosen("state", ("", *words), "")


def chips(words: Mapping[str, str], endpoint: str) -> list[tuple[str, str, bool]]:
    """(label, address, whether it is chosen) of all and of each state."""
    asked = chosen(words)
    return [(_("全部"), url_for(endpoint), not asked), *((said, url_for(endpoint, state=state), state == asked) for state, said in words.items())]
