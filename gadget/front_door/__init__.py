"""What `VirtualCamera` and `Bench` are made of: the verbs of a camera, a camera that runs, and where it lives."""
