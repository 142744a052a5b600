"""GigE Vision on a network that is not perfect: what Aravis makes of lost, late and double packets, of a small MTU and
of cameras that go away; the capture in the eyes of tshark.

All on loopback. Frames are 640 x 480 at 5 per second: each one fits into the socket of a host that is kept from reading
for a moment, and 0.4 s long its packets can be had again.
"""

import contextlib
import json
import math
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gadget.gige.host import ControlLink, StreamSocket
from tests.system.programs import CLIENTS, SYSTEM_PYTHON, U3V, need, need_aravis, tshark
from tests.system.served_gige import ADDRESS, aravis, served
from u3v.host.gige.client import GvcpClient
from u3v.host.gige.stream import GigeStream
from u3v.host.nodes import DeviceNodes

BASLER, BAUMER = "acA4096-11gm", "VCXG-124M"
ELSEWHERE = "127.0.3.9"
SLOW = ["--set", "AcquisitionFrameRateEnable=true", "--set", "AcquisitionFrameRate=5"]
SMALL = ["--size", 640, 480, "--frame-retention", 1000]
FRAMES = 20


def through(model: str, fault: str, *client: object, good: int = FRAMES) -> tuple[dict[str, Any], list[int]]:
    """What Aravis says of so many frames, and the camera of what it sent."""
    with served(model, *SLOW, "--fault", fault) as camera:
        result = aravis(*SMALL, "--count", FRAMES, *client)
    assert sum(result["status"].values()) == FRAMES and result["status"]["success"] == good, result
    return result, camera.counts


@pytest.mark.parametrize(
    ("model", "share"), [(BASLER, 0.001), (BASLER, 0.01), (BASLER, 0.05), (BAUMER, 0.05)]
)
def test_aravis_asks_for_what_is_lost_and_completes_every_frame(model: str, share: float) -> None:
    result, (offered, delivered, discarded, *_) = through(model, f"lost-packets:p={share},times=0,seed=3")
    assert result["gaps"] == 0
    assert result["n_missing_packets"] == 0 and result["n_resent_packets"] >= share * FRAMES * 212 * 0.5
    assert offered >= delivered >= FRAMES and discarded == 0


def test_without_resends_a_frame_lacks_what_was_lost() -> None:
    """Aravis gives a frame up then at the first packet that is missing: of 212 packets those before the 100th of the
    payload have come, and the leader."""
    fault = "lost-packets:frame=5,part=payload,nth=100,count=7"
    result, (_, delivered, discarded, *_) = through(BASLER, fault, "--no-resend", good=FRAMES - 1)
    assert (result["n_missing_packets"], result["n_resend_requests"], result["gaps"]) == (112, 0, 1)
    assert delivered >= FRAMES and discarded == 0


@pytest.mark.parametrize(
    ("fault", "counter"),
    [
        ("double-packets:p=0.05,times=0", "n_duplicated_packets"),
        ("swapped-packets:p=0.05,times=0,by=3", ""),
        ("late-packets:p=0.01,times=0,ms=40", "n_resend_requests"),
    ],
)
def test_aravis_puts_in_order_what_comes_in_disorder(fault: str, counter: str) -> None:
    result, _ = through(BASLER, fault)
    assert result["n_missing_packets"] == 0
    assert not counter or result[counter] > 0


def test_aravis_finds_the_packet_size_that_gets_through() -> None:
    result, _ = through(BASLER, "small-mtu:bytes=1100")
    assert 1090 <= result["packet_size"] <= 1100


def test_aravis_loses_a_camera_that_does_not_hear_it() -> None:
    with served(BASLER, *SLOW, "--fault", "lost-heartbeat:at_ms=2000,for_ms=4000"):
        result = aravis(*SMALL, "--count", 3, "--until-lost")
        assert result["lost"] and result["status"]["success"] >= 5
        assert aravis(*SMALL, "--count", 3)["status"] == {"success": 3}


def test_a_camera_that_moves_is_found_again_elsewhere() -> None:
    with served(BASLER, *SLOW, "--fault", f"new-address:frame=5,to={ELSEWHERE}"):
        result = aravis(*SMALL, "--count", 3, "--until-lost")
        assert result["lost"] and result["status"]["success"] >= 3
        assert aravis(*SMALL, "--count", 3, address=ELSEWHERE)["status"] == {"success": 3}


def test_packet_sockets_see_packets() -> None:
    """Aravis reads them where it may, as root; a plain user's gets datagrams."""
    need_aravis()
    client = [SYSTEM_PYTHON, CLIENTS / "gige_client.py", "--packet-socket", *SMALL, "--count", 5]
    argv = [*U3V, "run", BASLER, "--wire", "gige", *SLOW, "--", *map(str, client)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"].get("success", 0) >= 4, done.stdout


def resident_bytes(process: int) -> int:
    """Memory of a process that is there (VmRSS)."""
    (line,) = re.findall(r"^VmRSS:\s+(\d+) kB$", Path(f"/proc/{process}/status").read_text(), re.MULTILINE)
    return int(line) * 1024


def test_a_host_that_never_reads_its_socket_costs_the_camera_no_memory() -> None:
    """Full frames at the full rate, into a socket that nobody empties; commands are answered all the while."""
    with served(BASLER, "--scene-cache", "4") as camera, contextlib.ExitStack() as stack:
        link = stack.enter_context(contextlib.closing(ControlLink(ADDRESS)))
        unread = stack.enter_context(contextlib.closing(StreamSocket(link.own_ip)))
        client = stack.enter_context(contextlib.closing(GvcpClient(link)))
        client.open()
        stream = GigeStream(client, unread, 0)
        stream.start([])
        DeviceNodes(client).execute("AcquisitionStart")
        while not unread.receive(900)[1]:  # until the first packet; never again
            client.keep_alive()
        sizes = []
        for _ in range(6):
            for _ in range(10):
                link.receive(80)
                client.keep_alive()
            sizes.append(resident_bytes(camera.process.pid))
        stream.stop()
    _, delivered, *_ = camera.counts
    assert delivered >= 12, camera.counts  # of 60, on a machine that is far too busy for that rate
    assert max(sizes[2:]) - sizes[1] < 30e6, sizes


def test_faults_of_usb_are_refused() -> None:
    argv = [*U3V, "serve", BASLER, "--wire", "gige", "--interface", ADDRESS, "--fault", "eproto"]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "fault eproto: it is about USB, and this camera is on Ethernet" in done.stderr


@pytest.mark.parametrize(("model", "data"), [(BASLER, 1464), (BAUMER, 1452)])
def test_tshark_finds_nothing_wrong_with_a_capture(model: str, data: int, tmp_path: Path) -> None:
    need("tshark")
    file = tmp_path / "gige.pcap"
    with served(model, *SLOW, "--pcap", file, "--fault", "lost-packets:frame=2,part=payload"):
        assert aravis(*SMALL, "--count", 5)["status"].get("success", 0) >= 3
    assert len(tshark(file, "gvcp.cmd.command", "frame.number")) > 50
    leader = f"udp.srcport != 3956 && udp.length == {1500 - 20 - data + 36}"
    (stream,) = {row[0] for row in tshark(file, leader, "udp.dstport")}
    known = ("-d", f"udp.port=={stream},gvsp")
    assert tshark(file, "_ws.malformed", "_ws.col.Info", options=known) == []
    assert tshark(file, "_ws.expert.severity >= 0x600000", "_ws.col.Info", options=known) == []
    leaders = tshark(file, "gvsp.sizex", "gvsp.sizex", "gvsp.sizey", "gvsp.pixel", options=known)
    assert len(leaders) >= 5 and {tuple(row) for row in leaders} == {("640", "480", "0x01080001")}
    packets = tshark(file, "gvsp.format in {0x03, 0x83}", "frame.number", options=known)
    assert len(packets) >= 5 * math.ceil(640 * 480 / data)
    assert len(tshark(file, "gvcp.cmd.command == 0x0040", "frame.number")) >= 1
