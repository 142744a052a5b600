"""A camera and what it says on a wire (USB3 Vision, GigE Vision): bytes and `now_ns` in, bytes out; no I/O."""
