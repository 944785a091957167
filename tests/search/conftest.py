from tests.seeded import market, seeded_folder

__all__ = ["market", "seeded_folder"]
