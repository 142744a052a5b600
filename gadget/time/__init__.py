"""The only owners of time: the event loop, simulated clocks, time slices, the guard against SIGKILL."""
