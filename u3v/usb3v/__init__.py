"""USB3 Vision: a camera as a USB function with its bootstrap registers and its control, event and stream channels."""
