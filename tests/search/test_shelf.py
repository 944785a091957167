"""The shelf's queries say the same on both databases."""

import pytest
from flask import Flask
from sqlalchemy import select

from marketplace import search
from marketplace.catalogue.product import Product
from marketplace.cli import seed
from marketplace.foundation.database import db
from marketplace.foundation.errors import NotFound
from marketplace.search import detail, shelf


@pytest.mark.both
def test_lists_pages_and_places_on_both_databases(app: Flask) -> None:
    result = app.test_cli_runner().invoke(seed.group, ["--json"])
    assert result.exit_code == 0, result.output
    on_sale = set(db.session.scalars(select(Product.id).where(Product.state == "ON_SALE")))
    for sort in shelf.SORTS:
        seen: list[int] = []
        after: str | None = ""
        while after is not None:
            page = shelf.listing(sort=sort, after=after, limit=7)
            seen += [card.product.id for card in page.cards]
            after = page.after
        assert len(seen) == len(set(seen)) and set(seen) == on_sale, sort
    ranked = search.query("白茶")
    first = shelf.listing(sort="new", ids=ranked, limit=3)
    second = shelf.listing(sort="new", ids=ranked, limit=3, after=first.after or "")
    assert [card.product.id for card in (*first.cards, *second.cards)] == ranked[:6]
    assert all(card.in_stock and card.scheme and card.cheapest for card in first.cards)

    assert len(shelf.origins()) == 11 and sum(count for _, villages in shelf.origins() for _, count in villages) == len(on_sale)
    sellers = shelf.cooperatives()
    assert len(sellers) == 13 and sum(row[3] for row in sellers) == len(on_sale)
    organisation, _cooperative, cards = shelf.cooperative(sellers[0][0].public_id)
    assert {card.seller.id for card in cards} == {organisation.id} and len(cards) == sellers[0][3]
    days = [card.harvested_on for card in shelf.in_season() if card.harvested_on]
    assert days == sorted(days, reverse=True) and len(days) == 8
    found = detail.of_slug("yunjiao-mingqian-white-tea")
    assert found.households == 63 and found.batches and found.scheme and found.scheme.version_no == 2
    with pytest.raises(NotFound):
        detail.of_slug("nothing")
    with pytest.raises(NotFound):
        shelf.cooperative("nobody")
