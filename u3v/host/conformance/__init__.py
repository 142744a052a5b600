"""Conformance checks for USB3 Vision cameras over any `HostBus`: declarations, what they share, and their run."""
