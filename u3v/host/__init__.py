"""The host side of the wire: what a camera's user runs."""
