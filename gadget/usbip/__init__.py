"""USB/IP: the camera exported to vhci-hcd or to any usbip client."""
