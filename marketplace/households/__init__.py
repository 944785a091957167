"""Households, the groups that link them to what is sold, and their privacy."""
