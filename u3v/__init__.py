"""USB3 Vision protocol core: bytes and `now_ns` in, bytes out; no I/O, no clock, no threads."""
