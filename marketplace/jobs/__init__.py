"""Entrance: what runs by itself, safe to run twice."""
