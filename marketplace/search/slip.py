"""Slips of the keyboard: which known terms are one slip away from what was typed, two in a long word."""

from collections.abc import Sequence

from rapidfuzz import process
from rapidfuzz.distance import OSA

LONG = 8  # letters from which on two slips are forgiven


def near(heard: str, known: Sequence[str], most: int = 5) -> list[str]:
    """The nearest of ``known`` to ``heard``: a letter more, less, wrong, or two exchanged."""
    slips = 1 if len(heard) < LONG else 2
    return [term for term, _distance, _place in process.extract(heard, known, scorer=OSA.distance, score_cutoff=slips, limit=most)]
