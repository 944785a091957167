"""Tests of what is for sale."""
