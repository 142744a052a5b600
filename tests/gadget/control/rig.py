"""A camera on a loop in a thread, with a control socket, for tests."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gadget.control.server import ControlServer
from gadget.front_door.live import LiveCamera
from gadget.runner import CameraSpec, LoopBench
from gadget.time.simulated import SimulatedLoop


@contextmanager
def controlled(path: Path, *specs: CameraSpec) -> Iterator[ControlServer]:
    """The server at `path`; the cameras run until the context ends."""
    with LoopBench(specs or [CameraSpec("acA4096-40um", settings={"Width": "64", "Height": "32"})]) as bench:
        loop = bench.loop
        advance = loop.advance if isinstance(loop, SimulatedLoop) and loop.is_lockstep else None
        with ControlServer(
            loop, [LiveCamera(built, loop.now_ns, advance) for built in bench.cameras], path
        ) as server:
            thread = threading.Thread(target=loop.run)
            thread.start()
            try:
                yield server
            finally:
                loop.call_threadsafe(loop.stop)
                thread.join()
