"""What real hosts send when they open and start a camera, played back step by step.

Sources: `_bootstrap` and `start_acquisition` of Aravis (arvuvdevice.c, arvuvstream.c; 0.8.26 and main), NI's
Linux driver (u3v_control.c, u3v_core.c, u3v_stream.c), cameleon (cam/src/u3v/control_handle.rs), and what
pylon was seen to send.
"""

import struct

import pytest

from tests.u3v.rig import (
    CONTROL_IN,
    CONTROL_OUT,
    EVENT_IN,
    MANIFEST,
    PAYLOAD,
    SBRM,
    SI_CONTROL,
    SI_COUNT,
    SI_FINAL1,
    SI_FINAL2,
    SI_MAX_LEADER,
    SI_MAX_TRAILER,
    SI_REQUIRED_PAYLOAD,
    SI_SIZE,
    SIRM,
    STREAM_IN,
    Host,
    make_camera,
    picture,
)
from u3v.host import bus as usb
from u3v.host.bus import UsbStall, UsbTimeout


def text(value: str) -> bytes:
    return value.encode().ljust(64, b"\0")


def number(value: int, size: int = 4) -> bytes:
    return value.to_bytes(size, "little")


Transcript = list[tuple[int, int, bytes]]

BOOTSTRAP: Transcript = [
    (0x004, 64, text("Basler")),
    (0x1D8, 8, number(SBRM, 8)),
    (0x1CC, 4, number(300)),
    (0x1C4, 8, number(0xB0D, 8)),  # names, event channel, timestamp, SBRM, written length
    (0x1D0, 8, number(MANIFEST, 8)),
]
STREAM: Transcript = [
    (SBRM + 0x14, 4, number(1024)),
    (SBRM + 0x18, 4, number(1024)),
    (SBRM + 0x20, 8, number(SIRM, 8)),
    (SIRM + 0x00, 4, number(2 << 24)),
    (SIRM + 0x04, 4, number(0)),
    (SIRM + 0x08, 8, number(PAYLOAD, 8)),
    (SIRM + 0x10, 4, number(1024)),
    (SIRM + 0x14, 4, number(1024)),
    *((SIRM + at, 4, number(0)) for at in range(0x18, 0x30, 4)),
    (MANIFEST, 8, number(1, 8)),
]
ARAVIS: Transcript = [*BOOTSTRAP, (SBRM + 0x04, 8, number(3, 8)), *STREAM]
ARAVIS_0_8_26: Transcript = [*BOOTSTRAP, (SBRM + 0x04, 4, number(3)), *STREAM]
NI: Transcript = [
    (0x1CC, 4, number(300)),
    (0x1D8, 8, number(SBRM, 8)),
    (SBRM + 0x14, 4, number(1024)),
    (SBRM + 0x18, 4, number(1024)),
    (0x1D8, 8, number(SBRM, 8)),
    (SBRM + 0x04, 8, number(3, 8)),
    (SBRM + 0x20, 8, number(SIRM, 8)),
    (SIRM, 4, number(2 << 24)),
]
CAMELEON: Transcript = [
    (0x1D8, 8, number(SBRM, 8)),
    (SBRM + 0x04, 8, number(3, 8)),
    (0x1CC, 4, number(300)),
    (SBRM + 0x14, 4, number(1024)),
    (SBRM + 0x18, 4, number(1024)),
]
PYLON: Transcript = [
    (0x1CC, 4, number(300)),
    (0x1C4, 8, number(0xB0D, 8)),
    (0x1D8, 8, number(SBRM, 8)),
    (SBRM + 0x14, 4, number(1024)),
    (SBRM + 0x18, 4, number(1024)),
    (SBRM + 0x04, 8, number(3, 8)),
    (SBRM + 0x20, 8, number(SIRM, 8)),
    (SIRM + 0x04, 4, number(0)),
    (SIRM + 0x00, 4, number(2 << 24)),
    (SIRM + 0x10, 4, number(1024)),
    (SIRM + 0x14, 4, number(1024)),
]


def play(host: Host, transcript: Transcript, first_id: int, skips: tuple[int, ...] = ()) -> None:
    """Each read as one command with ids counting up, the answer's buffer exactly as long as the answer."""
    request_id = first_id
    for address, count, expected in transcript:
        packet = struct.pack("<4sHHHHQHH", b"U3VC", 0x4000, 0x0800, 12, request_id, address, 0, count)
        host.send(packet)
        answer = host.receive(12 + count, timeout_ms=32)
        assert answer == struct.pack("<4sHHHH", b"U3VC", 0, 0x0801, count, request_id) + expected, hex(
            address
        )
        request_id = (request_id + 1) & 0xFFFF
        while request_id in skips:
            request_id = (request_id + 1) & 0xFFFF


def xml(host: Host) -> bytes:
    """The file of manifest entry 0, in pieces of the longest acknowledge."""
    address, size = struct.unpack_from("<QQ", host.read(MANIFEST + 8, 64), 8)
    return b"".join(host.read(address + at, min(1012, size - at)) for at in range(0, size, 1012))


def dance(host: Host, *endpoints: int) -> None:
    """Halt; a 20-byte transfer must fail with a stall; clear."""
    for endpoint in endpoints:
        host.bus.control(struct.pack("<BBHHH", 0x02, 3, 0, endpoint, 0), b"")
        inward = bool(endpoint & 0x80)
        with pytest.raises(UsbStall):
            host.transfer(20, endpoint) if inward else host.bus.bulk_out(endpoint, bytes(20))
        host.bus.control(struct.pack("<BBHHH", 0x02, 1, 0, endpoint, 0), b"")


@pytest.mark.parametrize("transcript", [ARAVIS, ARAVIS_0_8_26])
def test_aravis_opens(host: Host, transcript: Transcript) -> None:
    play(host, transcript, 65301, skips=(0,))
    assert xml(host)[:2] == b"PK"


def test_aravis_starts_and_stops(host: Host) -> None:
    aligned = 1 << 20
    for _ in range(2):
        required = host.read_int(SI_REQUIRED_PAYLOAD, 8)
        size = min(required, aligned)
        for address, value in (
            (SI_MAX_LEADER, 1024),
            (SI_MAX_TRAILER, 1024),
            (SI_SIZE, size),
            (SI_COUNT, required // size),
            (SI_FINAL1, -(-(required % size) // 4) * 4),
            (SI_FINAL2, 0),
        ):
            host.write_int(address, value)
        usb.set_halt(host.bus, STREAM_IN)
        usb.clear_halt(host.bus, STREAM_IN)
        host.write_int(SI_CONTROL, 1)
        host.run("AcquisitionStart")
        for block_id in range(3):  # synchronous: one request of 1 MiB for the leader
            leader = host.transfer(1 << 20)
            assert (len(leader), leader[8]) == (52, block_id)
            assert len(host.transfer(size)) == PAYLOAD
            assert len(host.transfer(1024)) == 32
        host.run("AcquisitionStop")
        host.write_int(SI_CONTROL, 0)


def test_aravis_requests_of_several_frames(host: Host) -> None:
    """Asynchronous Aravis: the requests of several frames are queued before AcquisitionStart."""
    host.plan(PAYLOAD, 1)
    host.write_int(SI_CONTROL, 1)
    buffers = [[bytearray(1024), bytearray(PAYLOAD), bytearray(1024)] for _ in range(4)]
    handles = [host.bus.submit_in(STREAM_IN, buffer) for frame in buffers for buffer in frame]
    host.run("AcquisitionStart")
    lengths = [host.bus.wait_in(handle) for handle in handles]
    assert lengths == [52, PAYLOAD, 32] * 4
    assert [bytes(frame[1]) for frame in buffers] == [picture(n, PAYLOAD) for n in range(4)]


def test_ni_opens_and_starts(host: Host) -> None:
    for endpoint in (CONTROL_IN, CONTROL_OUT):
        usb.set_halt(host.bus, endpoint)
        usb.clear_halt(host.bus, endpoint)
    play(host, NI, 0)
    # All in one transfer, leader and trailer of one packet; the program enables the stream.
    for address, value in (
        (SI_MAX_LEADER, 1024),
        (SI_SIZE, 0x80000),
        (SI_COUNT, 0),
        (SI_FINAL1, 1024),
        (SI_FINAL2, 1024),
        (SI_MAX_TRAILER, 1024),
    ):
        host.write_int(address, value)
    for endpoint in (STREAM_IN, EVENT_IN):
        usb.set_halt(host.bus, endpoint)
        usb.clear_halt(host.bus, endpoint)
    host.write_int(SI_CONTROL, 1)
    host.run("AcquisitionStart")
    for block_id in range(3):
        lengths = [len(host.transfer(1024)) for _ in range(4)]
        assert lengths == [52, 1024, PAYLOAD - 1024, 32], block_id


def test_cameleon_opens_and_starts(host: Host) -> None:
    usb.set_halt(host.bus, CONTROL_IN)
    usb.set_halt(host.bus, CONTROL_OUT)
    usb.clear_halt(host.bus, CONTROL_IN)
    usb.clear_halt(host.bus, CONTROL_OUT)
    play(host, CAMELEON, 0)
    entry = host.read(MANIFEST + 8, 64)
    assert entry[4:8] == b"\0\4\1\1"
    if host.read_int(SI_CONTROL) & 1:
        host.write_int(SI_CONTROL, 0)
    for address, value in (
        (SI_SIZE, 0x10000),
        (SI_COUNT, 0),
        (SI_FINAL1, PAYLOAD),
        (SI_FINAL2, 0),
        (SI_MAX_LEADER, 1024),
        (SI_MAX_TRAILER, 1024),
        (SI_CONTROL, 1),
    ):
        host.write_int(address, value)
    host.run("AcquisitionStart")
    again = [host.read_int(at) for at in (SI_MAX_LEADER, SI_SIZE, SI_COUNT, SI_FINAL1, SI_FINAL2)]
    assert again == [1024, 0x10000, 0, PAYLOAD, 0]
    for block_id in range(3):
        frame = host.frame([PAYLOAD])
        assert (frame.block_id, frame.status, frame.valid, frame.size_y) == (block_id, 0, PAYLOAD, 30)
    host.run("AcquisitionStop")
    host.write_int(SI_CONTROL, 0)


def test_cameleon_reuses_the_id_of_a_refused_command(host: Host) -> None:
    refused = struct.pack("<4sHHHHQHH", b"U3VC", 0x4000, 0x0800, 12, 5, 0xE0000000, 0, 4)
    host.send(refused)
    assert host.receive() == bytes.fromhex("55335643 0380 0108 0000 0500")
    play(host, CAMELEON, 5)


def pylon_opens(host: Host) -> None:
    usb.set_configuration(host.bus, 1)
    dance(host, CONTROL_IN, CONTROL_OUT, EVENT_IN)
    play(host, PYLON, 0x10)
    host.send(bytes.fromhex("55335643 0040 0008 0c00 2000 000000e000000000 0000 2800"))
    assert host.receive(52) == bytes.fromhex("55335643 0380 0108 0000 2000")
    assert xml(host)[:2] == b"PK"


def test_pylon_opens_twice(host: Host) -> None:
    pylon_opens(host)
    pylon_opens(host)
    for entry in ("FrameBurstStart", "FrameStart"):
        host.set("TriggerSelector", entry)
        host.set("TriggerMode", "Off")
    host.set("AcquisitionMode", "Continuous")


def test_pylon_starts_and_stops() -> None:
    host = Host(make_camera(settings={"Width": 1024, "Height": 700}))
    pylon_opens(host)
    payload = 1024 * 700
    for _ in range(3):
        usb.clear_halt(host.bus, STREAM_IN)
        host.write_int(SI_CONTROL, 0)
        dance(host, STREAM_IN)
        assert host.read_int(SI_REQUIRED_PAYLOAD, 8) == payload
        rest = payload % 0x40000
        final1 = -(-rest // 1024) * 1024
        for address, value in (
            (SI_SIZE, 0x40000),
            (SI_COUNT, payload // 0x40000),
            (SI_FINAL1, final1),
            (SI_FINAL2, 0),
            (SI_MAX_LEADER, 52),
            (SI_MAX_TRAILER, 36),
            (SI_CONTROL, 1),
        ):
            host.write_int(address, value)
        host.run("AcquisitionStart")
        for block_id in range(3):
            leader = host.transfer(52)
            pieces = [host.transfer(n) for n in (0x40000, 0x40000, final1)]
            trailer = host.transfer(36)
            assert leader[8:16] == trailer[8:16] == number(block_id, 8)
            assert sum(map(len, pieces)) == payload == struct.unpack_from("<Q", trailer, 20)[0]
        host.run("AcquisitionStop")
        dance(host, STREAM_IN)
        host.write_int(SI_CONTROL, 1)
        host.write_int(SI_CONTROL, 0)


def test_producer_that_configures_again_and_again(host: Host) -> None:
    """Some GenTL producers unconfigure, halt every endpoint, wait for events with one request, drain the stream
    with short reads that they take back, and leave the device unconfigured."""
    for _ in range(3):
        usb.set_configuration(host.bus, 0)
        usb.set_configuration(host.bus, 1)
        dance(host, CONTROL_OUT, CONTROL_IN, EVENT_IN, STREAM_IN)
        host.write_int(0x30000, 1)
        waiting = host.bus.submit_in(EVENT_IN, bytearray(1024))
        for _ in range(3):
            with pytest.raises(UsbTimeout):
                host.transfer(64, timeout_ms=10)
        first = len(host.painted.exposures)
        host.plan(PAYLOAD, 1)
        host.write_int(SI_CONTROL, 1)
        host.run("AcquisitionStart")
        frame = host.frame([PAYLOAD])
        assert (frame.block_id, frame.payload) == (0, picture(first, PAYLOAD))
        host.run("AcquisitionStop")
        host.write_int(SI_CONTROL, 0)
        host.bus.cancel_in(waiting)
    usb.set_configuration(host.bus, 0)
