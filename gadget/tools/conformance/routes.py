"""Ways to the camera of a conformance run: in this process, over USB/IP, over libusb. Each is a `Route`.

A route knows what it can do: its `abilities` are words of u3v.host.conformance.declare.NEEDS. What it cannot do
it answers with `Skipped`, so that the report says why a check could not be made.
"""

import importlib.util
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import gadget.tools.targets as targets
from gadget.loopback import LoopbackBus
from gadget.runner import FIRST_SERIAL, BuiltCamera, CameraSpec, build
from gadget.time.simulated import SimulatedTime
from gadget.usb.pcap import PcapWriter
from u3v.host.bus import HostBus, UsbGone
from u3v.host.conformance.declare import Skipped
from u3v.host.conformance.route import known_of
from u3v.wire.usb import Speed

MS = 1_000_000
AWAY_NS = 500 * MS
"""How long a plug stays out."""
GIVEN_BACK_NS = 100 * MS
"""How long nobody has a device of a USB/IP server."""
BACK_S = 15.0
"""How long a camera may take to come back (pylon and Aravis wait about as long)."""
SPEEDS = {"SS": Speed.SUPER, "HS": Speed.HIGH}
_USBIP_SPEEDS = {3: "HS", 5: "SS", 6: "SS"}
_LIBUSB_SPEEDS = {3: "HS", 4: "SS", 5: "SS"}
GENAPI = frozenset({"gapi"}) if importlib.util.find_spec("genicam") else frozenset[str]()


class InProcess:
    """A virtual camera in this process, on a simulated clock: everything can be done to it."""

    is_simulated = True
    clock = "simulated (exact to 1 ns; the camera's own)"
    abilities = GENAPI | {"raw0", "bus", "sim", "overlap"}

    def __init__(self, built: BuiltCamera, time: SimulatedTime) -> None:
        self.built = built
        self.bus: HostBus
        self.bus = self._host = LoopbackBus.to(built.device, time)
        time.services.append(built.port)
        self.name = f"in process: virtual {built.model.name}"

    @property
    def speed(self) -> str:
        return "SS" if self.built.device.speed is Speed.SUPER else "HS"

    @property
    def enumerated(self) -> bytes:
        return known_of(self.built.device.descriptors.device)

    def now_ns(self) -> int:
        return self._host.now_ns

    def wait(self, duration_ns: int) -> None:
        self._host.run(duration_ns)

    def reset(self) -> None:
        self.built.device.bus_reset(self.now_ns())

    def replug(self, speed: str = "") -> None:
        built = self.built
        built.port.unplug(self.now_ns())
        if speed and speed != self.speed:
            built.device.change_speed(SPEEDS[speed])
        self.wait(AWAY_NS)
        built.port.replug(self.now_ns())

    def reopen(self) -> None:
        raise UsbGone("the camera is off the bus")


class _RealTime:
    """What routes to other processes and machines have in common: the machine's monotonic clock."""

    is_simulated = False
    name: str
    bus: HostBus

    def close(self) -> None:
        self.bus.close()

    @property
    def clock(self) -> str:
        resolution_ns = time.get_clock_info("monotonic").resolution * 1e9
        return f"monotonic, of the host (resolution {resolution_ns:g} ns)"

    def now_ns(self) -> int:
        return time.monotonic_ns()

    def wait(self, duration_ns: int) -> None:
        time.sleep(duration_ns / 1e9)

    def reopen(self) -> None:
        self.bus.close()
        deadline = time.monotonic() + BACK_S
        while True:
            try:
                self.bus = targets.open_target(self.name)
                return
            except UsbGone:
                if time.monotonic() > deadline:
                    raise
                self.wait(AWAY_NS)


class OverUsbip(_RealTime):
    """A device of a USB/IP server. Importing it again is the replug."""

    def __init__(self, target: str, *, virtual: bool = False) -> None:
        self.name = target
        self.bus = targets.open_target(target)
        self.abilities = GENAPI | {"raw0", "bus", "overlap"} | ({"sim"} if virtual else set())

    @property
    def speed(self) -> str:
        record = getattr(self.bus, "record", None)
        return _USBIP_SPEEDS.get(record.speed, "") if record is not None else ""

    @property
    def enumerated(self) -> bytes:
        record = getattr(self.bus, "record", None)
        if record is None:
            return b""
        ids = struct.pack("<3H", record.vid, record.pid, record.bcd_device)
        return bytes(record.device_class) + ids + bytes([record.configurations])

    def reset(self) -> None:
        raise Skipped("USB/IP carries no bus reset")

    def replug(self, speed: str = "") -> None:
        if speed and speed != self.speed:
            raise Skipped("USB/IP cannot change the speed of a port")
        self.bus.close()
        self.wait(GIVEN_BACK_NS)
        self.reopen()


class OverLibusb(_RealTime):
    """A device on this machine's USB."""

    abilities = GENAPI

    def __init__(self, target: str) -> None:
        self.name = target
        self.bus = targets.open_target(target)

    @property
    def speed(self) -> str:
        return _LIBUSB_SPEEDS.get(getattr(self.bus, "speed", 0), "")

    @property
    def enumerated(self) -> bytes:
        return getattr(self.bus, "known", b"")

    def reset(self) -> None:
        raise Skipped("a bus reset would let go of the device")

    def replug(self, speed: str = "") -> None:
        raise Skipped("nobody is there to pull the plug")


def open_address(target: str, *, virtual: bool = False) -> OverUsbip | OverLibusb:
    """A route to a camera that is there. Raises Mistake, UsbGone."""
    return OverUsbip(target, virtual=virtual) if target.startswith("usbip:") else OverLibusb(target)


@contextmanager
def in_process(spec: CameraSpec, pcap: Path | None = None) -> Iterator[InProcess]:
    """A virtual camera of this process, switched off at the end."""
    built = build(
        spec, spec.serial or str(FIRST_SERIAL), bus=spec.bus.bus() if spec.bus is not None else None
    )
    with ExitStack() as stack:
        stack.callback(built.pixels.source.close)
        if pcap is not None:
            writer = PcapWriter(pcap)
            stack.callback(writer.close)
            writer.attach(built.device, bus=1, address=2)
        route = InProcess(built, SimulatedTime())
        stack.callback(lambda: route.bus.close())
        yield route
