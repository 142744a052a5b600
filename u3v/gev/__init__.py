"""The GigE Vision wire: bootstrap registers, control (GVCP), stream (GVSP), events. Sockets are outside."""
