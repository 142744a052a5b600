"""The host's end of GigE Vision: a client of our own. Sockets are outside."""
