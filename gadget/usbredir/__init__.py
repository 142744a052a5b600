"""usbredir: the camera as a device of a virtual machine, on the guest's own host controller."""
