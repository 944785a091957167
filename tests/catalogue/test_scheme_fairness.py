"""A split scheme over a year of a county's orders: each receiver gets what its share is of everything, to within a few yuan."""

import random

from marketplace.catalogue.split_scheme import SplitScheme

ORDERS = 70_000


def test_over_seventy_thousand_orders_nobody_gains_by_rounding() -> None:
    scheme = SplitScheme(cooperative_bp=7000, household_pool_bp=2000, village_collective_bp=600, relief_fund_bp=400)
    chance = random.Random(7)
    shares = (7000, 2000, 600, 400)
    got, due, whole = [0, 0, 0, 0], [0, 0, 0, 0], 0
    for order in range(ORDERS):
        fen = chance.randrange(990, 88_800)
        parts = scheme.divide(fen, f"order-{order}")
        whole += fen
        for place, part in enumerate(parts):
            got[place] += part
            due[place] += fen * shares[place]
    assert sum(got) == whole
    # Seven yuan of 31 million that were divided; always rounding one share up would put it 350 yuan ahead.
    for mine, exact in zip(got, due, strict=True):
        assert abs(mine * 10_000 - exact) < 700 * 10_000
