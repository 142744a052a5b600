"""The control socket of a running camera: its protocol, the side that serves and the side that asks."""
