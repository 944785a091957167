"""Entrance: trades days through the same functions the screens use."""
