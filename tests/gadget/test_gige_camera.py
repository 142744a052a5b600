"""A camera on a network for the front door: state, cable, DeviceReset, the host's writes, refusals."""

import os
import socket
from collections.abc import Iterator

import pytest

from gadget.front_door.camera_verbs import CameraError
from gadget.front_door.live import LiveCamera
from gadget.gige_camera import GigeCamera, plug_gige
from gadget.runner import CameraSpec, LoopBench
from u3v.errors import Mistake
from u3v.gev.bootstrap import GIGE_VISION, Address
from u3v.wire import gev, gvcp

IP = f"127.93.{os.getpid() >> 8 & 0xFF}.{os.getpid() & 0xFF}"
"""Processes that run tests at the same time do not get in each other's way."""
MODEL = "acA4096-11gm"
PATIENCE = 50


class Rig:
    """One camera and one host on loopback; nothing waits for longer than it takes."""

    def __init__(self, bench: LoopBench, camera: GigeCamera) -> None:
        self.bench = bench
        self.live = LiveCamera(camera, bench.loop.now_ns)
        self.host = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.host.setblocking(False)
        self._id = 0

    def ask(self, code: gvcp.Code, payload: bytes = b"") -> gvcp.Ack | None:
        self._id += 1
        command = gvcp.Command(gvcp.ACK_REQUIRED, code, self._id, payload)
        self.host.sendto(command.pack(), (IP, gvcp.PORT))
        for _ in range(PATIENCE):
            self.bench.loop.step(0.001)
            try:
                return gvcp.parse_ack(self.host.recv(2048))
            except BlockingIOError:
                continue
        return None

    def write(self, name: str, value: int) -> gvcp.Ack | None:
        address = gev.REGISTERS[name].address
        return self.ask(gvcp.Code.WRITEREG, address.to_bytes(4, "big") + value.to_bytes(4, "big"))

    def state(self) -> str:
        return str(self.live.ask("state", {})["state"])


@pytest.fixture
def rig() -> Iterator[Rig]:
    with LoopBench([CameraSpec(MODEL)], wire=GIGE_VISION) as bench:
        camera = plug_gige(bench, bench.cores[0], Address(IP, "255.0.0.0"))
        made = Rig(bench, camera)
        yield made
        made.live.close()
        made.host.close()
        camera.server.close()


def test_a_camera_without_its_cable_is_deaf_and_silent(rig: Rig) -> None:
    assert rig.state() == "plugged"
    rig.write("CCP", gev.CCP_CONTROL)
    assert rig.state() == "configured"
    rig.live.ask("unplug", {})
    assert rig.state() == "unplugged" and rig.ask(gvcp.Code.DISCOVERY) is None
    rig.live.ask("replug", {})
    assert rig.state() == "plugged"
    answer = rig.ask(gvcp.Code.DISCOVERY)
    assert answer is not None and len(answer.payload) == 0xF8


def test_a_cable_that_is_in_again_soon_has_cost_packets_and_no_host(rig: Rig) -> None:
    """The data lines alone; with its power the camera goes on."""
    rig.write("CCP", gev.CCP_CONTROL)
    rig.live.ask("add_fault", {"fault": "yank:at_ms=0,back_ms=0,power=kept"})
    rig.bench.loop.step(0.001)
    assert rig.state() == "unplugged" and rig.ask(gvcp.Code.DISCOVERY) is None
    rig.live.ask("replug", {})
    assert rig.state() == "configured"
    answer = rig.write("Heartbeat_Timeout", 3000)
    assert answer is not None and answer.status == 0


def test_device_reset_drops_the_host(rig: Rig) -> None:
    rig.write("CCP", gev.CCP_CONTROL)
    rig.live.ask("set", {"name": "ExposureTime", "value": 2000.0})
    rig.live.ask("execute", {"name": "DeviceReset"})
    ends_ns = rig.bench.loop.now_ns() + 30 * 10**9
    while rig.live.ask("counters", {})["bus_drops"] == 0 or rig.state() == "unplugged":
        rig.bench.loop.step(0.01)
        assert rig.bench.loop.now_ns() < ends_ns
    assert rig.state() == "plugged"
    assert rig.live.ask("get", {"name": "ExposureTime"}) == 10000.0


def test_history_names_the_wires_own_registers(rig: Rig) -> None:
    rig.write("CCP", gev.CCP_CONTROL)
    rig.write("Heartbeat_Timeout", 5000)
    writes = [line.split(" s ")[1] for line in rig.live.ask("history", {})["writes"]]
    assert writes == ["CCP = 2", "Heartbeat_Timeout = 5000"]


def test_faults_of_usb_are_refused(rig: Rig) -> None:
    with pytest.raises(CameraError, match="lost-trailer"):
        rig.live.ask("add_fault", {"fault": "lost-trailer:nth=3"})


def test_usb_models_have_no_ethernet() -> None:
    bench = LoopBench([CameraSpec("acA4096-40um")], wire=GIGE_VISION)
    with bench, pytest.raises(Mistake, match="no Ethernet"):
        plug_gige(bench, bench.cores[0], Address(IP))
