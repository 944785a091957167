"""What the seed's equity shares say was appraised into them. No database."""

from collections import Counter

from catalog_seed.csv_rows import table


def test_equity_says_what_was_appraised_at_a_thousand_yuan_a_share() -> None:
    assets: Counter[str] = Counter()
    for share in table("linkage_shares.csv"):
        if share["kind"] != "EQUITY":
            assert (share["asset_kind"], share["appraised_fen"]) == ("", "")
            continue
        assert int(share["appraised_fen"]) == int(share["shares"]) * 100_000
        assert (share["asset_kind"] == "FUNDS") == share["basis_zh"].startswith("产业奖补资金"), share
        if share["asset_kind"] == "FUNDS":
            assert share["basis_zh"] == f"产业奖补资金 {int(share['appraised_fen']) // 100} 元折股"
        else:
            assert share["asset_kind"] == {"茶": "LAND", "菊": "LAND", "油": "FOREST", "林": "FOREST"}[share["basis_zh"][0]]
        assets[share["asset_kind"]] += 1
    assert assets == {"LAND": 463, "FOREST": 307, "FUNDS": 318}
