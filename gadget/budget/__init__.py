"""Limits as pure arithmetic: what a bus carries, what a supply gives."""
