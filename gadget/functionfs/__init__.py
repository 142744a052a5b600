"""A camera as a FunctionFS function: SuperSpeed, several of them, on kernels that take the U3V descriptor."""
