"""Cameras on a USB device controller (UDC): a kernel that answers endpoint 0 itself, and keeps queues."""
