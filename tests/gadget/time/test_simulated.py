"""Simulated and lockstep clocks: in one process bit for bit the same, over sockets as for an ideal host."""

import contextlib
import hashlib
import json
import socket
import subprocess
import sys
import threading
import time as wall
from pathlib import Path
from typing import Any

import pytest

from gadget.loopback import LoopbackBus
from gadget.runner import CameraSpec, LoopBench
from gadget.time.loop import READ
from gadget.time.simulated import SimulatedLoop, SimulatedTime
from gadget.usbip.client import UsbipClient
from gadget.usbip.server import UsbipServer
from gadget.usbip.session import export
from tests.gadget.eager import rig
from tests.gadget.test_loopback import Ticker
from u3v.host import bus
from u3v.host.bus import UsbTimeout
from u3v.host.client import U3VClient
from u3v.host.nodes import DeviceNodes
from u3v.wire.usb import EVENT_IN

ACE = "acA4096-40um"
SECOND = 10**9


def grabbed(folder: Path, *options: str) -> tuple[dict[str, Any], list[str]]:
    """`u3v grab` of small frames: its account, and what the files' bytes are."""
    small = ["--set", "Width=256", "--set", "Height=128", "--set", "ExposureTime=4000"]
    command = [sys.executable, "-m", "gadget", "grab", ACE, "-n", "40", "-o", str(folder), "--format", "raw"]
    done = subprocess.run(
        [*command, "--json", *small, *options], capture_output=True, text=True, check=True, timeout=120
    )
    result = json.loads(done.stdout)
    files = result.pop("files")
    return result, [hashlib.sha256(Path(name).read_bytes()).hexdigest() for name in files]


def test_two_simulated_grabs_are_the_same_and_a_real_one_has_the_same_pixels(tmp_path: Path) -> None:
    began_s = wall.monotonic()
    first, pixels = grabbed(tmp_path / "a", "--clock", "simulated", "--seed", "5")
    assert len(set(pixels)) == 40
    assert (first["delivered"], first["discarded"]) == (40, 0)
    assert grabbed(tmp_path / "b", "--clock", "simulated", "--seed", "5") == (first, pixels)
    other, changed = grabbed(tmp_path / "c", "--clock", "simulated", "--seed", "6")
    assert other == first and not set(changed) & set(pixels)
    stepped, same = grabbed(tmp_path / "d", "--clock", "lockstep", "--seed", "5")
    assert same == pixels
    assert stepped["fps"] == pytest.approx(first["fps"], rel=0.01)
    real, again = grabbed(tmp_path / "e", "--seed", "5")
    assert real["delivered"] == 40
    assert again == pixels
    assert wall.monotonic() - began_s < 120


def test_simulated_time_is_faster_than_the_wall() -> None:
    began_s = wall.monotonic()
    time, (one,) = rig([ACE], "5gbps", AcquisitionFrameRateEnable=1, AcquisitionFrameRate=1.0)
    time.advance(1000 * SECOND)
    assert one.camera.frames.offered == pytest.approx(1000, abs=1)
    assert wall.monotonic() - began_s < 60


def test_in_lockstep_only_the_host_moves_the_clock() -> None:
    time = SimulatedTime(lockstep=True)
    usb = LoopbackBus(Ticker(), time=time)
    bus.set_configuration(usb, 1)
    buffer = bytearray(8)
    with pytest.raises(UsbTimeout, match="the clock stands at 0 ns"):
        usb.bulk_in_into(EVENT_IN, buffer, 5000)
    assert usb.now_ns == 0
    handle = usb.submit_in(EVENT_IN, buffer)
    time.advance(SECOND - 1)
    with pytest.raises(UsbTimeout):
        usb.wait_in(handle, 5000)
    time.advance(1)
    assert usb.wait_in(handle, 5000) == 4
    assert usb.now_ns == SECOND


class Alarm:
    """Due every second; remembers when it was served."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.at: list[int] = []

    def next_wakeup_ns(self) -> int | None:
        return (len(self.at) + 1) * SECOND if self.left else None

    def service(self, now_ns: int) -> None:
        self.at.append(now_ns)
        self.left -= 1


def test_the_loop_jumps_from_deadline_to_deadline() -> None:
    loop = SimulatedLoop()
    alarm = Alarm(1000)
    loop.services.append(alarm)
    while alarm.left:
        loop.step()
    assert alarm.at == [n * SECOND for n in range(1, 1001)]
    loop.close()


def test_input_is_handled_before_the_clock_moves() -> None:
    loop = SimulatedLoop()
    alarm = Alarm(1)
    loop.services.append(alarm)
    ours, theirs = socket.socketpair()
    seen: list[int] = []

    def read(_mask: int) -> None:
        ours.recv(1)
        seen.append(loop.now_ns())

    loop.watch(ours, READ, read)
    theirs.send(b"xyz")
    for _ in range(3):
        loop.step()
    assert (seen, alarm.at) == ([0, 0, 0], [])
    loop.step()
    assert alarm.at == [SECOND]
    loop.unwatch(ours)
    ours.close()
    theirs.close()
    loop.close()


def test_a_host_that_owes_a_request_holds_the_clock() -> None:
    held = [True]
    loop = SimulatedLoop(lambda: held[0])
    alarm = Alarm(1)
    loop.services.append(alarm)
    loop.call_threadsafe(lambda: None)
    loop.step()

    def answer() -> None:
        held[0] = False

    helper = threading.Thread(target=lambda: loop.call_threadsafe(answer))
    helper.start()
    loop.step()
    helper.join()
    while not alarm.at:
        loop.step()
    assert not held[0]
    loop.close()


def test_a_lockstep_loop_stands_until_it_is_moved() -> None:
    loop = SimulatedLoop(lockstep=True)
    alarm = Alarm(5)
    loop.services.append(alarm)
    loop.step(0.0)
    assert loop.now_ns() == 0
    loop.advance(2 * SECOND + 7)
    for _ in range(6):
        loop.step(0.0)
    assert alarm.at == [SECOND, 2 * SECOND]
    assert loop.now_ns() == 2 * SECOND + 7
    loop.close()


def test_a_program_moves_the_clock_by_a_feature() -> None:
    spec = CameraSpec(ACE, clock="lockstep", settings={"Width": "64", "Height": "64"})
    with LoopBench([spec]) as bench, contextlib.ExitStack() as stack:
        exported = export(bench.cameras[0].device)
        server = stack.enter_context(UsbipServer(bench.loop, exported, port=0))
        loop = threading.Thread(target=bench.loop.run)
        loop.start()
        try:
            client = U3VClient(UsbipClient.connect("127.0.0.1", server.port, "1-1"))
            client.open()
            nodes = DeviceNodes(client)

            def now_ns() -> int:
                nodes.execute("TimestampLatch")
                return int(nodes.get("TimestampLatchValue"))

            assert now_ns() == now_ns() == 0
            nodes.set("VirtualClockAdvance", 5 * SECOND)
            nodes.set("VirtualClockAdvance", 7)
            while now_ns() < 5 * SECOND + 7:
                pass
            assert now_ns() == now_ns() == 5 * SECOND + 7
            client.bus.close()
        finally:
            bench.loop.call_threadsafe(bench.loop.stop)
            loop.join()


def test_other_clocks_do_not_care() -> None:
    _, (one,) = rig([ACE], "5gbps")
    before_ns = one.host.now_ns
    one.nodes.set("VirtualClockAdvance", SECOND)
    assert one.host.now_ns < before_ns + SECOND
