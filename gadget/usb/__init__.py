"""What every USB transport needs: a device with its endpoint 0, IN pipes, port and capture."""
