"""A camera through GadgetFS: whole descriptors on a stock kernel, at High-Speed, one at a time."""
