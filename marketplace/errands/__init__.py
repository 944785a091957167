"""Errands: steps that a worker takes for the person who asked, because they last longer than a page may."""
