"""GigE Vision cameras on a network: sockets around `u3v.gev`."""
