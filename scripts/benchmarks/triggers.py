"""The benchmark of triggers on the real clock: from a pulse on a line to the exposure, and to the frame's first byte.

In the camera's own time the exposure begins with the pulse, to the nanosecond: what is due at an instant has happened
then, however late the loop comes. What a program sees beside that is how long its pulse takes to the camera, and how
late the loop and the wire are with the frame.
"""

import random
import time
from collections.abc import Iterator
from statistics import median, stdev

from benchmarks import hosts
from benchmarks.figures import Bystanders, Figure, of
from benchmarks.hosts import Host, Server, quantile
from gadget.control.client import RemoteCamera
from gadget.front_door.lines import LineHandle
from gadget.usbip.client import UsbipClient
from u3v.host.client import U3VClient

LINE = "Line1"
SETTINGS = {
    "Width": "640",
    "Height": "480",
    "ExposureTime": "1000",
    "TriggerSource": LINE,
}
PAUSE_S = (0.005, 0.025)
"""Between two pulses, so that they hit the loop in any state."""


class Stopwatch(UsbipClient):
    """A host that looks at the clock when data arrives. `first_ns`: of the first of a frame; 0 before it."""

    first_ns = 0

    def wait_in(self, handle: int, timeout_ms: int) -> int:
        length = super().wait_in(handle, timeout_ms)
        self.first_ns = self.first_ns or time.monotonic_ns()
        return length


def jitter(pulses: int, windows: int) -> Iterator[Figure]:
    """Some windows of so many pulses, each of which is a frame of 640 x 480 at a host over USB/IP."""
    others = Bystanders()
    bare_ms = median(hosts.bare_round_trips("unix", 2000))
    rng = random.Random(1)
    to_exposure, to_first_byte, since_exposure = [], [], []
    with hosts.workshop() as folder:
        control = folder / "control.sock"
        with (
            Server(True, SETTINGS, "--control", str(control)) as server,
            RemoteCamera(control) as remote,
            Stopwatch.connect(port=server.port) as bus,
        ):
            client = U3VClient(bus)
            client.open()
            host = Host(server.process.pid, hosts.reference(SETTINGS), client)
            host.start()
            host.skip(10)  # the sensor of a camera that has just been opened starts up, and hears no triggers
            host.stop()
            remote.features["TriggerMode"] = "On"
            host.start()
            line = remote.lines[LINE]
            _window(host, bus, line, 10, rng)
            for _ in range(windows):
                rows = _window(host, bus, line, pulses, rng)
                to_exposure.append([(exposed - asked) / 1e6 for asked, exposed, _ in rows])
                to_first_byte.append([(first - asked) / 1e6 for asked, _, first in rows])
                since_exposure.append([(first - exposed) / 1e6 for _, exposed, first in rows])
            host.stop()
    cores = others.cores()
    exposure_ms = float(SETTINGS["ExposureTime"]) / 1e3
    yield from _figures("control socket to exposure", to_exposure, bare_ms, "bare", cores)
    yield from _figures("exposure to first byte", since_exposure, exposure_ms, "exposure", cores)
    yield from _figures("pulse to first byte", to_first_byte, exposure_ms, "exposure", cores)


Row = tuple[int, int, int]


def _window(host: Host, bus: Stopwatch, line: LineHandle, count: int, rng: random.Random) -> list[Row]:
    """(pulse asked for, exposure begun, first byte here) of each frame, ns of this machine's clock."""
    rows = []
    for _ in range(count):
        time.sleep(rng.uniform(*PAUSE_S))
        bus.first_ns = 0
        asked_ns = time.monotonic_ns()
        line.pulse(us=50)
        host.skip(1)
        rows.append((asked_ns, host.taken_ns, bus.first_ns))
    return rows


def _figures(
    what: str, windows: list[list[float]], limit: float, name: str, cores: float
) -> Iterator[Figure]:
    for how, samples in (
        ("median", [median(each) for each in windows]),
        ("99 of 100", [quantile(each, 0.99) for each in windows]),
        ("sigma", [stdev(each) for each in windows]),
    ):
        beside = {} if how == "sigma" else {"limit": limit, "limit_is": name}
        yield of("jitter", f"{what}: {how}", "ms", samples, others_cores=cores, **beside)
