"""Cameras that are served, wired by `u3v ctl` on the real clock: one strobe, one encoder, whoever looks."""

import shlex
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from gadget.usbip.client import UsbipClient
from tests.system.programs import (
    CLIENTS,
    SYSTEM_PYTHON,
    U3V,
    end,
    need,
    need_aravis,
    objects,
    run,
    start,
    u3v,
)
from u3v.host.client import U3VClient
from u3v.host.nodes import DeviceNodes
from u3v.host.stream import StreamReader

FIRST, SECOND = "40000001", "40000002"
ACE, VCX = FIRST, SECOND
SMALL = "Width=64,Height=32,ExposureTime=500"
PATIENCE_MS = 30_000


class Taker:
    """Our own host at one served camera: the timestamps of its frames."""

    def __init__(self, client: U3VClient) -> None:
        self.nodes = DeviceNodes(client)
        self._reader = StreamReader(client)
        self._reader.start([bytearray(self._reader.buffer_bytes) for _ in range(8)])
        self.nodes.execute("AcquisitionStart")

    def stamp(self) -> int:
        frame = self._reader.next_frame(PATIENCE_MS)
        assert frame.complete and frame.leader is not None, frame.reason
        self._reader.release(frame)
        return frame.leader.timestamp

    def stop(self) -> None:
        self.nodes.execute("AcquisitionStop")
        self._reader.stop()


@contextmanager
def takers(port: int) -> Iterator[list[Taker]]:
    """Hosts at both cameras, the triggered one first."""
    with ExitStack() as stack:
        found = []
        for busid in ("1-2", "1-1"):
            client = U3VClient(stack.enter_context(UsbipClient.connect(port=port, busid=busid)))
            client.open()
            found.append(Taker(client))
        yield found
        for taker in found:
            taker.stop()


class Served:
    """`u3v serve` of two cameras, and `u3v ctl` for them."""

    def __init__(self, control: Path) -> None:
        self._environment = {"U3V_CONTROL": str(control)}
        cameras = [
            f"acA4096-40um:{SMALL},TriggerMode=On,TriggerSource=Line3",
            f"VCXG-124M:{SMALL},TriggerMode=On,TriggerSource=Line0",
        ]
        self.program = start([*U3V, "serve", *cameras, "--port", "0", "--control", control])
        assert self.program.stdout is not None
        self.port = int(self.program.stdout.readline().split()[-1])

    def ctl(self, *words: str) -> str:
        done = run([*U3V, "ctl", *words], env=self._environment)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    made = Served(tmp_path / "control.sock")
    yield made
    end(made.program)
    made.program.communicate()


def check(port: int, period_ns: int) -> None:
    """The encoder triggers the one, whose strobe triggers the other: to the nanosecond, however busy the machine.

    A host that is late costs frames (the VCX keeps one in trigger mode), but moves none.
    """
    with takers(port) as (triggered, leader):
        pairs = [(leader.stamp(), triggered.stamp()) for _ in range(8)]
    firsts, laters = ([pair[end] for pair in pairs] for end in (0, 1))
    assert {(first - firsts[0]) % period_ns for first in firsts} == {0}, firsts
    pulses = range(firsts[0], laters[-1], period_ns)
    assert laters == sorted(set(laters)) and set(laters) <= {(at + 97_700) // 8 * 8 for at in pulses}, pairs


def test_wires_and_encoder_last_through_hosts_and_a_reset(served: Served) -> None:
    served.ctl("-c", ACE, "encoder", "Line3", "--every-px", "1028", "--px-per-s", "51400")
    served.ctl("-c", ACE, "set", "LineSelector=Line2", "LineSource=ExposureActive")
    served.ctl("-c", ACE, "wire", "Line2", "Line0", "--of", VCX)
    check(served.port, 20_000_000)
    check(served.port, 20_000_000)
    served.ctl("-c", VCX, "reset")
    served.ctl("-c", VCX, "wait-for", "plugged")
    served.ctl("-c", VCX, "set", "Width=64", "Height=32", "TriggerMode=On", "TriggerSource=Line0")
    check(served.port, 20_000_000)


DIVIDED = {
    "CounterSelector": "Counter1",
    "CounterEventSource": "Line0",
    "CounterDuration": "2",
    "CounterResetSource": "Counter1End",
    "LineSelector": "Line3",
    "LineSource": "ExposureActive",
    "TriggerSource": "Counter1End",
    "TriggerMode": "On",
}
"""Every second pulse of an encoder triggers, and each exposure is a pulse at Line3."""


@pytest.mark.parametrize(("model", "wire"), [("acA4096-40um", "usb"), ("acA4096-11gm", "gige")])
def test_aravis_at_a_camera_whose_strobe_triggers_another(model: str, wire: str) -> None:
    """Line3 of the VCX follows its exposure, 97.7 us after the encoder's pulse, by 3 us; its clock, in steps of 8 ns,
    shows 4 ns less. The host may be late: then the VCX, which keeps one image, loses some."""
    need_aravis()
    need("unshare", "nsenter", "setpriv", "ip")
    ctl = [*U3V, "ctl", "-c", FIRST]
    wires = [*ctl, "wire", "Line3", "Line1", "--of", SECOND]
    encoder = [*ctl, "encoder", "Line0", "--every-px", "1028", "--px-per-s", "51400"]
    settings = [word for name, value in DIVIDED.items() for word in ("--leader", f"{name}={value}")]
    settings += ["--follower", "TriggerSource=Line1", "--follower", "TriggerMode=On"]
    client = [
        SYSTEM_PYTHON,
        CLIENTS / "aravis_wires.py",
        "6",
        f"{shlex.join(wires)} && {shlex.join(encoder)}",
    ]
    done = u3v("run", "VCXG-124M", model, "--wire", wire, "--", *client, *settings)
    assert done.returncode == 0, done.stderr
    (found,) = objects(done.stdout)
    assert found["models"] == ["VCXG-124M", model]
    firsts, laters = found["leader"], found["follower"]
    assert len(firsts) == len(laters) == 6
    assert {(at - firsts[0]) % 40_000_000 for at in firsts} == {0}, found
    assert {(at - firsts[0]) % 40_000_000 for at in laters} == {3004}, found
