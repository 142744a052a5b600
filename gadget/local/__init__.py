"""The camera offered to unmodified libusb programs of this machine, without kernel or root."""
