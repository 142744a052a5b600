"""The wire: packets, descriptors and register layouts as the standards write them."""
