"""A camera on a `LoopbackBus` in this process: no other program, so the run is a pure function of seed and settings.

Frames are rendered before the clock moves on: results are bit for bit the same on every machine.
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from frames.scene import Scene
from gadget.loopback import LoopbackBus
from gadget.runner import FIRST_SERIAL, CameraSpec, build
from gadget.time.simulated import LOCKSTEP_NS, SimulatedTime
from gadget.usb.pcap import PcapWriter


@contextlib.contextmanager
def simulated_host(
    spec: CameraSpec,
    pcap: Path | None = None,
    scene: Scene | None = None,
    *,
    say: Callable[[str], None] = lambda line: None,
) -> Iterator[LoopbackBus]:
    """A host for the camera of `spec`, on a simulated clock (in lockstep where the spec says so).

    `scene`: instead of the spec's, one that the caller may change between frames. `say` gets what happens to the
    camera, one line each, such as a supply that fails.
    """
    bus = spec.bus.bus() if spec.bus is not None else None
    built = build(spec, spec.serial or str(FIRST_SERIAL), scene=scene, bus=bus)
    name = f"{built.model.name} {built.camera.options.serial}"
    built.port.listeners.append(lambda line: say(f"{name} {line}"))
    built.device.ep0.on_refusal = lambda reason: say(f"{name} stays unconfigured: {reason}")
    lockstep = spec.clock == "lockstep"
    time = SimulatedTime(lockstep=lockstep, step_ns=LOCKSTEP_NS if lockstep else 0)
    host = LoopbackBus.to(built.device, time)
    time.services.append(built.port)
    writer = PcapWriter(pcap) if pcap is not None else None
    if writer is not None:
        writer.attach(built.device, bus=1, address=2)
    try:
        yield host
    finally:
        host.close()
        built.pixels.source.close()
        if writer is not None:
            writer.close()
