"""Reads only: bulletins, dashboards, checks, exports."""
