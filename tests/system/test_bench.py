"""The benchmarks run and say what they say they say. No figure is judged here: machines differ."""

import json
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from frames.sensor import load_sensor
from gadget.budget.bus import parse_bus
from gadget.budget.power import PowerModel
from gadget.loopback import LoopbackBus
from gadget.usb.device import UsbDevice
from tests.gadget.eager import Blank
from tests.system.programs import MODEL
from u3v.camera import Camera
from u3v.host.client import U3VClient
from u3v.host.nodes import DeviceNodes
from u3v.model import load_model
from u3v.usb3v.bootstrap import USB3_VISION
from u3v.usb3v.function import UsbFunction

pytestmark = pytest.mark.patient
SCRIPTS = Path(__file__).resolve().parent.parent.parent / "scripts"
BENCH = SCRIPTS / "bench"


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([BENCH, *arguments], capture_output=True, text=True, timeout=600)


def test_a_figure_stands_beside_its_limit() -> None:
    ended = run("--quick", "start", "--json", "-")
    assert ended.returncode == 0, ended.stderr
    report = json.loads(ended.stdout)
    (figure,) = report["figures"]
    assert figure["group"] == "start"
    assert figure["unit"] == "s"
    assert min(figure["samples"]) <= figure["value"] <= max(figure["samples"])
    assert figure["ratio"] == figure["value"] / figure["limit"] > 0
    assert figure["met"] is (figure["value"] <= 1.5)
    assert report["machine"]["processors"] >= 1


def test_a_name_that_is_none() -> None:
    ended = run("sensr")
    assert ended.returncode == 2
    assert "no benchmark 'sensr', did you mean 'sensor'?" in ended.stderr


def test_p4_frames_that_waited_do_not_raise_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """P4: after a host was held up, the camera's memory full of frames comes at the link's 54 frames/s. The
    camera makes up for nothing: its timestamps are never closer than a period, and the figure says so."""
    monkeypatch.syspath_prepend(SCRIPTS)
    from benchmarks import hosts

    model = load_model(MODEL)
    camera = Camera(model, load_sensor(model.sensor).timing, PowerModel(model), USB3_VISION)
    Blank(camera)
    bus = LoopbackBus.to(UsbDevice(UsbFunction(camera), bus=parse_bus("5gbps").bus()))
    monkeypatch.setattr(hosts, "time", SimpleNamespace(perf_counter=lambda: bus.now_ns / 1e9))
    client = U3VClient(bus)
    client.open()
    DeviceNodes(client).set("DeviceLinkThroughputLimitMode", "Off")
    host = hosts.Host(os.getpid(), camera, client)
    host.start()
    host.skip(10)
    calm = host.window(100)
    bus.run(10**9)
    began_ns = bus.now_ns
    held_up = host.window(100)
    by_the_hosts_clock = 100 / ((bus.now_ns - began_ns) / 1e9)
    rate = camera.features.get("ResultingFrameRate")
    assert calm.fps == pytest.approx(rate, rel=1e-3)
    assert held_up.dropped > 20
    assert by_the_hosts_clock > 1.05 * rate
    assert held_up.fps == pytest.approx(rate * 100 / (100 + held_up.dropped), rel=1e-3)
    host.stop()
