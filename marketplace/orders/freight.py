"""Freight of the public's orders: each cooperative sends its own parcel, free from a sum of goods on."""

FREE_FROM_FEN = 9900
PARCEL_FEN = 800


def freight_fen(goods_fen: int) -> int:
    """Fen for one cooperative's parcel with goods worth ``goods_fen``."""
    return 0 if goods_fen >= FREE_FROM_FEN else PARCEL_FEN
