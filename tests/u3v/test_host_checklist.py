"""What host programs demand of a camera: one test for each of 46 observations of real hosts.

Each docstring says what the device must do and which host fails where it does not. Packets and descriptors
are written down as bytes.
"""

import hashlib
import io
import re
import struct
import zipfile
from xml.etree import ElementTree

import pytest

from gadget.loopback import LoopbackBus
from tests.u3v.rig import (
    CONTROL_IN,
    CONTROL_OUT,
    EI_CONTROL,
    EIRM,
    EVENT_IN,
    EVENT_TEST,
    HEIGHT,
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
    XML,
    Ack,
    Host,
    Refused,
    make_camera,
    picture,
    readmem,
    writemem,
)
from u3v.camera import Options
from u3v.errors import Status
from u3v.host import bus as usb
from u3v.host.bus import UsbGone, UsbStall, UsbTimeout
from u3v.usb3v.bootstrap import WireOptions, xml_text
from u3v.wire.usb import Speed

CAMELEON_STATUSES = {
    0x0000, 0x8001, 0x8002, 0x8003, 0x8004, 0x8005, 0x8006, 0x8007, 0x800B, 0x800E, 0x800F, 0x8FFF,
    0xA001, 0xA002, 0xA003, 0xA004, 0xA005, 0xA100, 0xA101,
}  # fmt: skip

DEVICE = "12 01 00 03 ef 02 01 09 76 26 02 ba 00 01 01 02 03 01"
CONFIGURATION_SUPER = """
    09 02 74 00 03 01 00 80 5a
    08 0b 00 03 ef 05 00 09
    09 04 00 00 02 ef 05 00 00
    14 24 01 01 00 01 00 00 00 01 00 04 01 02 07 05 06 03 00 0c
    07 05 01 02 00 04 00  06 30 00 00 00 00
    07 05 81 02 00 04 00  06 30 00 00 00 00
    09 04 01 00 01 ef 05 01 00
    07 05 82 02 00 04 00  06 30 00 00 00 00
    09 04 02 00 01 ef 05 02 00
    07 05 83 02 00 04 00  06 30 0f 00 00 00
"""
CONFIGURATION_HIGH = """
    09 02 5c 00 03 01 00 80 fa
    08 0b 00 03 ef 05 00 09
    09 04 00 00 02 ef 05 00 00
    14 24 01 01 00 01 00 00 00 01 00 04 01 02 07 05 06 03 00 0c
    07 05 01 02 00 02 00
    07 05 81 02 00 02 00
    09 04 01 00 01 ef 05 01 00
    07 05 82 02 00 02 00
    09 04 02 00 01 ef 05 02 00
    07 05 83 02 00 02 00
"""


def in_request(host: Host, setup: str) -> bytes:
    raw = bytes.fromhex(setup)
    return host.bus.control(raw, int.from_bytes(raw[6:8], "little"))


def out_request(host: Host, setup: str) -> None:
    host.bus.control(bytes.fromhex(setup), b"")


def test_item_01_device_class(host: Host) -> None:
    """Report class EF/02/01: Aravis and cameleon do not list the device otherwise."""
    assert in_request(host, "80 06 00 01 00 00 12 00").hex(" ") == DEVICE
    high = Host(speed=Speed.HIGH)
    assert in_request(high, "80 06 00 01 00 00 12 00").hex(" ") == DEVICE.replace(
        "00 03 ef 02 01 09", "10 02 ef 02 01 40"
    )
    assert in_request(high, "80 06 00 06 00 00 0a 00").hex(" ") == "0a 06 10 02 ef 02 01 40 01 00"


@pytest.mark.parametrize(
    ("speed", "configuration"), [(Speed.SUPER, CONFIGURATION_SUPER), (Speed.HIGH, CONFIGURATION_HIGH)]
)
def test_item_02_association(speed: Speed, configuration: str) -> None:
    """An IAD EF/05/00 whose first interface is the control interface: cameleon finds the function by it."""
    host = Host(speed=speed)
    raw = in_request(host, "80 06 00 02 00 00 ff 00")
    assert raw == bytes.fromhex(configuration)
    assert len(raw) == int.from_bytes(raw[2:4], "little") == (116 if speed is Speed.SUPER else 92)
    assert in_request(host, "80 06 00 02 00 00 09 00") == raw[:9]


def test_item_03_device_information(host: Host) -> None:
    """The 20 bytes 0x24/0x01 directly behind the control interface: NI and cameleon reject the device without
    them, Aravis takes garbage for the GUID."""
    raw = in_request(host, "80 06 00 02 00 00 ff 00")
    at = raw.index(bytes.fromhex("09 04 00 00 02 ef 05 00 00")) + 9
    assert raw[at : at + 3] == b"\x14\x24\x01"
    assert raw[at + 20 : at + 22] == b"\x07\x05"


def test_item_04_strings(host: Host) -> None:
    """Readable strings for GUID, vendor, model, version, information and serial: cameleon skips it otherwise."""
    assert in_request(host, "80 06 00 03 00 00 ff 00") == b"\x04\x03\x09\x04"
    info = in_request(host, "80 06 00 02 00 00 ff 00")[26:46]
    guid, vendor, model, family, version, information, serial, user = (
        usb.get_string(host.bus, index) if index else None for index in info[11:19]
    )
    assert (guid, vendor, model, family) == ("2676BBB6C642", "Basler", "acA4096-40um", "ace")
    assert (version, information, serial, user) == ("107204-10", "virtual camera", "40000001", None)


def test_item_05_unique_guid() -> None:
    """A unique GUID, not empty: Aravis opens another device otherwise."""
    hosts = [Host(make_camera(Options(serial=serial))) for serial in ("40000001", "40000002", "abc", "abd")]
    guids = [usb.get_string(host.bus, 4) for host in hosts]
    assert len(set(guids)) == 4
    assert all(re.fullmatch(r"2676[0-9A-F]{8}", guid) for guid in guids)


def test_item_06_control_endpoint_numbers(host: Host) -> None:
    """The same number for both control endpoints: all of Aravis 0.8 builds both addresses from one."""
    raw = in_request(host, "80 06 00 02 00 00 ff 00")
    outward, inward = raw[46:53], raw[59:66]
    assert outward.hex(" ") == "07 05 01 02 00 04 00"
    assert inward.hex(" ") == "07 05 81 02 00 04 00"


def test_item_07_one_configuration() -> None:
    """One configuration, index 0: Aravis never sets it, it takes what the kernel has set."""
    host = Host(configured=False)
    assert in_request(host, "80 08 00 00 00 00 01 00") == b"\0"
    with pytest.raises(UsbStall):
        in_request(host, "80 06 01 02 00 00 ff 00")
    with pytest.raises(UsbStall):
        host.send(readmem(0, 4))
    out_request(host, "00 09 01 00 00 00 00 00")
    assert in_request(host, "80 08 00 00 00 00 01 00") == b"\1"
    assert host.read(0, 4) == b"\1\0\1\0"


def test_item_08_one_interface_of_each_kind(host: Host) -> None:
    """At most one event and one stream interface: cameleon calls more an invalid device."""
    raw, at, protocols = in_request(host, "80 06 00 02 00 00 ff 00"), 0, []
    while at < len(raw):
        if raw[at + 1] == 4:
            protocols.append(raw[at + 5 : at + 8].hex())
        at += raw[at]
    assert protocols == ["ef0500", "ef0501", "ef0502"]


def test_item_09_halt_of_the_control_endpoints(host: Host) -> None:
    """Halt and clear both control endpoints when a host opens: cameleon's open fails otherwise."""
    out_request(host, "02 03 00 00 81 00 00 00")
    out_request(host, "02 03 00 00 01 00 00 00")
    assert in_request(host, "82 00 00 00 81 00 02 00") == b"\1\0"
    with pytest.raises(UsbStall):
        host.send(readmem(0, 4))
    with pytest.raises(UsbStall):
        host.receive()
    out_request(host, "02 01 00 00 81 00 00 00")
    out_request(host, "02 01 00 00 01 00 00 00")
    assert in_request(host, "82 00 00 00 81 00 02 00") == b"\0\0"
    assert host.read(0, 4) == b"\1\0\1\0"


def test_item_10_halt_of_the_stream_endpoint(host: Host) -> None:
    """Halt and clear the stream endpoint before the start, and stream afterwards: Aravis warns and gets no data,
    NI reports an error."""
    for _ in range(3):
        host.halt(STREAM_IN)
        with pytest.raises(UsbStall):
            host.transfer(1024)
        host.clear(STREAM_IN)
        host.start()
        frame = host.frame()
        assert (frame.block_id, frame.status) == (0, 0)
        host.run("AcquisitionStop")
        host.write_int(SI_CONTROL, 0)


def test_item_11_halt_of_the_event_endpoint(host: Host) -> None:
    """Halt and clear the event endpoint: NI's events fail otherwise."""
    host.write_int(EI_CONTROL, 1)
    host.halt(EVENT_IN)
    with pytest.raises(UsbStall):
        host.event()
    host.clear(EVENT_IN)
    host.write_int(EVENT_TEST, 1)
    assert host.event().event_id == 0x4FFF


def test_item_12_quick_first_answers(host: Host) -> None:
    """Answer the first reads within 32 ms: Aravis gives up after five attempts."""
    for address, count in ((0x004, 64), (0x1D8, 8), (0x1CC, 4), (0x1C4, 8), (0x1D0, 8)):
        began_ns = host.bus.now_ns
        host.send(readmem(address, count))
        host.receive(12 + count, timeout_ms=32)
        assert host.bus.now_ns - began_ns <= 32_000_000


def test_item_13_request_ids(host: Host) -> None:
    """Reads with request id 0 and repeated ids are commands like any other: NI and cameleon fail at the first one."""
    for request_id, count in ((0, 4), (0, 4), (0, 8), (7, 4), (7, 8), (65534, 4), (1, 4), (0xFFFF, 4)):
        ack = host.command(readmem(0x1D8, count, request_id))
        assert (ack.status, ack.request_id, len(ack.scd)) == (0, request_id, count)
    width = host.address("Width")
    for value in (44, 48):  # the same id, another command: it is executed
        assert host.command(writemem(width, value.to_bytes(4, "little"), 7)).status == 0
        assert host.get("Width") == value


def test_item_14_exact_answers(host: Host) -> None:
    """Echo prefix and id, with the exact length and nothing behind it: NI says invalid response, Aravis gets an
    overflow."""
    read = "55 33 56 43 00 40 00 08 0c 00 01 00 d8 01 00 00 00 00 00 00 00 00 08 00"
    assert host.exchange(read, 20) == "55 33 56 43 00 00 01 08 08 00 01 00 00 00 01 00 00 00 00 00"
    refused = "55 33 56 43 00 40 00 08 0c 00 03 00 00 00 00 e0 00 00 00 00 00 00 28 00"
    assert host.exchange(refused) == "55 33 56 43 03 80 01 08 00 00 03 00"
    for count in (1, 2, 3, 5, 63, 64, 1012):
        assert len(host.read(0x100000, count)) == count
    with pytest.raises(UsbTimeout):
        host.receive(timeout_ms=100)


def test_item_15_written_length(host: Host) -> None:
    """WRITEMEM_ACK carries reserved 0 and the length: cameleon says "written length mismatch" otherwise."""
    write = "55 33 56 43 00 40 02 08 0c 00 02 00 04 00 02 00 00 00 00 00 01 00 00 00"
    assert host.exchange(write, 16) == "55 33 56 43 00 00 03 08 04 00 02 00 00 00 04 00"
    name = host.command(writemem(0x184, b"lab".ljust(64, b"\0"), 9))
    assert (name.status, name.command, name.scd) == (0, 0x0803, b"\0\0\x40\0")


def test_item_16_known_statuses(host: Host) -> None:
    """Only status codes of the table: cameleon fails to parse any other."""
    assert {int(status) for status in Status} == CAMELEON_STATUSES
    packets = [readmem(a, n) for a in (0, 0x1F8, 0x10000, 0x7000, 2**64 - 1) for n in (0, 4, 65535)]
    packets += [writemem(a, b"\xff" * n) for a in (0, 0x1F8, 0x20004, 0x20008, 0x7000) for n in (0, 1, 4)]
    packets += [readmem(0, 4)[:6] + bytes((n, 8)) + readmem(0, 4)[8:] for n in range(16)]
    seen = {host.command(packet).status for packet in packets}
    assert {0x0000, 0x8001, 0x8002, 0x8003, 0x8004, 0x8006, 0x800E} <= seen <= CAMELEON_STATUSES


def test_item_17_few_pending_acks() -> None:
    """At most two PENDING_ACK to a command and no absurd time-out: cameleon sleeps it out and gives up."""
    host = Host()
    slow = [f for f in host.camera.features if f.busy_ms]
    assert [f.name for f in slow] == ["UserSetSave", "TestPendingAck"]
    host.set("UserSetSelector", "UserSet1")
    ack = host.command(writemem(host.address("UserSetSave"), b"\1\0\0\0"))
    assert (ack.command, ack.status) == (0x0803, 0)  # not 0x0805
    host.function.control.extra_delay_ms = 1900  # nearly twice the response time of 1000 ms
    host.send(readmem(0, 4))
    pending = [Ack.parse(host.receive())]
    while pending[-1].command == 0x0805:
        pending.append(Ack.parse(host.receive()))
    waits_ms = [struct.unpack("<HH", ack.scd) for ack in pending[:-1]]
    assert 1 <= len(waits_ms) <= 2
    assert all(reserved == 0 and wait_ms <= 2000 for reserved, wait_ms in waits_ms)


def test_item_18_no_pending_ack_to_short_reads(host: Host) -> None:
    """No PENDING_ACK to reads of less than 4 bytes: 16 bytes overflow the buffer that Aravis posts."""
    features = [f for f in host.camera.features if f.busy_ms and f.size < 4]
    assert features == []
    for count in (1, 2, 3):
        host.send(readmem(0x1D8, count))
        assert Ack.parse(host.receive(12 + count)).command == 0x0801


def test_item_19_parts_of_registers(host: Host) -> None:
    """4 bytes of an 8-byte register can be read: Aravis 0.8.26 does so when it opens."""
    assert host.read(SBRM + 0x04, 4) == b"\3\0\0\0"
    assert host.read(SBRM + 0x08, 4) == b"\0\0\0\0"
    assert host.read(0x1D8, 4) == b"\0\0\1\0"


def test_item_20_stream_registers_always_answer() -> None:
    """All SIRM registers answer, also with nothing set up: Aravis' open fails otherwise."""
    host = Host()
    address = host.read_int(SBRM + 0x20, 8)
    sizes = [host.read(address + at, 8 if at == 8 else 4) for at in (0, 4, 8, *range(0x10, 0x30, 4))]
    assert sizes[0] == b"\0\0\0\2"
    assert sizes[2] == PAYLOAD.to_bytes(8, "little")
    host.read(address + 8, 64)  # what Aravis 0.6 asked for


@pytest.mark.parametrize("zipped", [True, False])
def test_item_21_manifest(zipped: bool) -> None:
    """Manifest entry 0 is the device XML, zipped or not: Aravis has no GenICam otherwise."""
    host = Host(wire=WireOptions(zipped_xml=zipped))
    manifest = host.read_int(0x1D0, 8)
    assert manifest == MANIFEST
    entry = host.read(manifest + 8, 64)
    assert entry[:4] == b"\0\0\0\1"  # file 1.0.0
    assert entry[4:8] == (b"\0\4\1\1" if zipped else b"\0\0\1\1")  # schema 1.1, zip or raw, device XML
    assert entry[44:] == bytes(20)


def download(host: Host) -> tuple[bytes, bytes]:
    """The stored XML file and its manifest entry, read in pieces of the longest acknowledge."""
    entry = host.read(MANIFEST + 8, 64)
    address, size = struct.unpack_from("<QQ", entry, 8)
    step = host.read_int(SBRM + 0x18) - 12
    pieces = [host.read(address + at, min(step, size - at)) for at in range(0, size, step)]
    return b"".join(pieces), entry


def test_item_22_only_known_file_types(host: Host) -> None:
    """No unknown file type in the manifest: cameleon reports an error."""
    assert host.read(MANIFEST, 8) == b"\1\0\0\0\0\0\0\0"
    assert host.read_int(MANIFEST + 12) & 7 == 0


def test_item_23_checksum(host: Host) -> None:
    """The SHA-1 of the stored bytes, or zeros: cameleon refuses the XML otherwise."""
    stored, entry = download(host)
    assert entry[24:44] == hashlib.sha1(stored).digest()


def test_item_24_one_file_in_the_zip(host: Host) -> None:
    """A zip of exactly one file: cameleon refuses it otherwise. Aravis inflates what is smaller than the file."""
    stored, _ = download(host)
    with zipfile.ZipFile(io.BytesIO(stored)) as archive:
        (info,) = archive.infolist()
        assert archive.read(info).decode() == xml_text(host.camera)
    assert info.compress_type == zipfile.ZIP_DEFLATED
    assert info.compress_size < info.file_size
    assert stored[6:8] == b"\0\0"  # no encryption, no data descriptor


def test_item_25_document_attributes(host: Host) -> None:
    """All attributes of the document: cameleon panics where one is missing."""
    root = ElementTree.fromstring(xml_text(host.camera))
    assert root.tag == "{http://www.genicam.org/GenApi/Version_1_1}RegisterDescription"
    attributes = dict(root.attrib)
    for name in ("ProductGuid", "VersionGuid"):
        assert re.fullmatch(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", attributes.pop(name))
    attributes.pop("{http://www.w3.org/2001/XMLSchema-instance}schemaLocation")
    attributes.pop("ToolTip")
    assert attributes == {
        "ModelName": "acA4096_40um",
        "VendorName": "Basler",
        "StandardNameSpace": "USB",
        "SchemaMajorVersion": "1",
        "SchemaMinorVersion": "1",
        "SchemaSubMinorVersion": "0",
        "MajorVersion": "1",
        "MinorVersion": "0",
        "SubMinorVersion": "0",
    }


def test_item_26_parameter_lock(host: Host) -> None:
    """TLParamsLocked is an integer that a host can set: cameleon cannot start otherwise."""
    space = {"g": "http://www.genicam.org/GenApi/Version_1_1"}
    root = ElementTree.fromstring(xml_text(host.camera))
    node = root.find("g:Integer[@Name='TLParamsLocked']", space)
    assert node is not None
    values = [node.findtext(f"g:{name}", namespaces=space) for name in ("Value", "Min", "Max")]
    assert values == ["0", "0", "1"]
    assert node.find("g:pValue", space) is None


def test_item_27_payload_size(host: Host) -> None:
    """PayloadSize is SI_Required_Payload_Size and above 0: Aravis reports SIZE_MISMATCH, shifts or crashes."""
    for width, height, pixel_format, expected in (
        (40, 30, "Mono8", 1200),
        (8, 1, "Mono10p", 10),
        (4112, 2176, "Mono12", 17_895_424),
        (4096, 2168, "Mono12p", 13_320_192),
    ):
        host.set("OffsetX", 0)
        host.set("Width", width)
        host.set("Height", height)
        host.set("PixelFormat", pixel_format)
        assert host.get("PayloadSize") == host.read_int(SI_REQUIRED_PAYLOAD, 8) == expected


def test_item_28_exact_payload(host: Host) -> None:
    """Exactly that many bytes for each frame: Aravis reports SIZE_MISMATCH otherwise."""
    for pixel_format, expected in (("Mono8", 1200), ("Mono10p", 1500), ("Mono12p", 1800), ("Mono12", 2400)):
        host.set("PixelFormat", pixel_format)
        first = len(host.painted.exposures)
        host.start()
        frame = host.frame()
        assert len(frame.payload) == frame.valid == expected
        assert frame.payload == picture(first, expected)
        host.run("AcquisitionStop")
        host.write_int(SI_CONTROL, 0)


@pytest.mark.parametrize(("speed", "packet"), [(Speed.SUPER, 1024), (Speed.HIGH, 512)])
def test_item_29_alignment(speed: Speed, packet: int) -> None:
    """An alignment that is a power of two and no longer than a packet: Aravis refuses it, or a ZLP is due in a
    place where only one of Aravis and cameleon can have it."""
    info = Host(speed=speed).read_int(SIRM)
    assert info & 0x00FFFFFF == 0
    assert 1 << (info >> 24) <= packet


def test_item_30_unaligned_transfer_size() -> None:
    """One transfer of an unaligned size is accepted: Aravis since 0.8.23 writes it and gets A004."""
    host = Host(make_camera(settings={"Width": 8, "Height": 1, "PixelFormat": "Mono10p"}))
    host.plan(size=10, count=1, final1=0)
    host.write_int(SI_CONTROL, 1)
    host.run("AcquisitionStart")
    frame = host.frame([10])
    assert (frame.valid, frame.status, len(frame.payload)) == (10, 0, 10)


@pytest.mark.parametrize(
    ("size", "count", "final1", "final2", "urbs"),
    [
        (0x100000, 0, 1024, 180, [1024, 180]),  # NI and embedded hosts: the rest in two
        (0x10000, 0, 1200, 0, [1200]),  # cameleon, small image
        (400, 3, 0, 0, [400, 400, 400]),
        (400, 2, 400, 0, [400, 400, 400]),
        (1 << 20, 0, 1200, 0, [1200]),
    ],
)
def test_item_31_all_shapes_of_plans(
    host: Host, size: int, count: int, final1: int, final2: int, urbs: list[int]
) -> None:
    """FINAL2 other than 0, COUNT 0, transfer sizes above the payload: NI, embedded hosts, cameleon."""
    host.plan(size, count, final1, final2)
    host.write_int(SI_CONTROL, 1)
    host.run("AcquisitionStart")
    for block_id in range(3):
        frame = host.frame(urbs)
        assert (frame.block_id, frame.status, frame.valid) == (block_id, 0, PAYLOAD)
        assert frame.payload == picture(block_id, PAYLOAD)


def test_item_32_stream_registers_read_back(host: Host) -> None:
    """SI registers read back what was written: cameleon sizes its buffers by them."""
    values = (0x400, 0x10000, 0x15, 0xFC00, 0x400, 0x1000)
    registers = (SI_MAX_LEADER, SI_SIZE, SI_COUNT, SI_FINAL1, SI_FINAL2, SI_MAX_TRAILER)
    for address, value in zip(registers, values, strict=True):
        host.write_int(address, value)
    assert tuple(host.read_int(address) for address in registers) == values
    assert struct.unpack("<6I", host.read(SI_MAX_LEADER, 24)) == values


ARAVIS_ORDER = (SI_MAX_LEADER, SI_MAX_TRAILER, SI_SIZE, SI_COUNT, SI_FINAL1, SI_FINAL2)
CAMELEON_ORDER = (SI_SIZE, SI_COUNT, SI_FINAL1, SI_FINAL2, SI_MAX_LEADER, SI_MAX_TRAILER)
NI_ORDER = (SI_MAX_LEADER, SI_SIZE, SI_COUNT, SI_FINAL1, SI_FINAL2, SI_MAX_TRAILER)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("order", [ARAVIS_ORDER, CAMELEON_ORDER, NI_ORDER, NI_ORDER[::-1]])
def test_item_33_any_order_of_registers(order: tuple[int, ...], strict: bool) -> None:
    """SI registers in any order before the stream is enabled: each host has its own."""
    host = Host(wire=WireOptions(strict=strict))
    values = dict(zip(NI_ORDER, (1024, 1024, 1, 176, 0, 1024), strict=True))
    for address in order:
        host.write_int(address, values[address])
    host.write_int(SI_CONTROL, 1)
    host.run("AcquisitionStart")
    assert host.frame().status == 0


@pytest.mark.parametrize("strict", [False, True])
def test_item_34_repeated_control_writes(strict: bool) -> None:
    """SI_Control 0 when it is 0, and 1 twice: Aravis and cameleon restart so."""
    host = Host(wire=WireOptions(strict=strict))
    host.write_int(SI_CONTROL, 0)
    host.write_int(SI_CONTROL, 0)
    host.start()
    host.write_int(SI_CONTROL, 1)
    assert host.read_int(SI_CONTROL) == 1
    assert host.frame().block_id == 0
    host.write_int(SI_CONTROL, 0)
    host.write_int(SI_CONTROL, 0)


def test_item_35_no_data_before_both_switches(host: Host) -> None:
    """No stream data before the stream is enabled and AcquisitionStart: hosts start on a wrong packet."""
    host.plan(1024, 1, 176)
    with pytest.raises(UsbTimeout):
        host.transfer(1024)
    host.write_int(SI_CONTROL, 1)
    with pytest.raises(UsbTimeout):
        host.transfer(1024)
    host.write_int(SI_CONTROL, 0)
    host.run("AcquisitionStart")  # this order, too
    with pytest.raises(UsbTimeout):
        host.transfer(1024)
    host.write_int(SI_CONTROL, 1)
    assert host.frame().block_id == 0


@pytest.mark.parametrize("taken", range(4))
@pytest.mark.parametrize("paced", [True, False])
def test_item_36_start_with_a_leader(taken: int, paced: bool) -> None:
    """After the stream is enabled, the first transfer is the leader of block 0, wherever the last one stopped:
    asynchronous Aravis never finds back."""
    host = Host(make_camera(Options(paced=paced), {"Width": 400, "Height": 300}), paced=paced)
    host.start(65536)
    assert host.frame().block_id == 0
    for length in (1024, 65536, 2048)[:taken]:  # stop in mid-frame, even in mid-transfer
        host.transfer(length)
    handle = host.bus.submit_in(STREAM_IN, bytearray(65536))
    host.run("AcquisitionStop")
    host.bus.cancel_in(handle)
    host.write_int(SI_CONTROL, 0)
    with pytest.raises(UsbTimeout):
        host.transfer(1024)
    host.start(65536)
    frame = host.frame()
    assert (frame.block_id, frame.status, frame.valid) == (0, 0, 120_000)


@pytest.mark.parametrize(("speed", "packet"), [(Speed.SUPER, 1024), (Speed.HIGH, 512)])
def test_item_37_zero_length_packets(speed: Speed, packet: int) -> None:
    """A zero-length packet exactly when the data ends on a packet and the request has room: the frames shift or
    overflow otherwise."""
    host = Host(make_camera(settings={"Width": 64, "Height": 32}), speed=speed)  # 2048 bytes
    host.plan(1024, 2)
    host.write_int(SI_CONTROL, 1)
    host.run("AcquisitionStart")
    assert [len(p) for p in host.frame([1024, 1024]).pieces] == [1024, 1024]  # full: none
    host.write_int(SI_CONTROL, 0)
    host.plan(1024, 1, 1024 + 48)
    host.write_int(SI_CONTROL, 1)
    assert [len(p) for p in host.frame([1024, 1024 + 48]).pieces] == [1024, 1024]  # room left: one
    host.write_int(SI_CONTROL, 0)
    host.plan(2048, 2)
    host.write_int(SI_CONTROL, 1)
    assert [len(p) for p in host.frame([2048, 2048]).pieces] == [2048, 0]  # nothing left: only one
    assert packet in (512, 1024)


def test_item_38_trailer(host: Host) -> None:
    """Status 0, valid size not above what was sent, the lines sent, size 32: cameleon drops the frame."""
    host.start()
    trailer = host.frame().trailer
    expected = (
        "55 33 56 54 00 00 20 00 00 00 00 00 00 00 00 00 00 00 00 00 b0 04 00 00 00 00 00 00 1e 00 00 00"
    )
    assert trailer.hex(" ") == expected
    assert (PAYLOAD, HEIGHT) == (0x4B0, 0x1E)


def test_item_39_chunks(host: Host) -> None:
    """Little-endian chunks without empty ones: Aravis and GenApi cannot parse others. Read from the end."""
    for name in ("Timestamp", "Gain"):
        host.set("ChunkEnable", True, ChunkSelector=name)
    host.set("ChunkModeActive", True)
    host.start()
    frame = host.frame()
    assert frame.leader[18:20] == b"\1\x40"
    at, lengths = len(frame.payload), []
    while at:
        lengths.append(int.from_bytes(frame.payload[at - 4 : at], "little"))
        at -= 8 + lengths[-1]
    assert lengths == [8, 8, PAYLOAD]


def test_item_40_cancelled_requests() -> None:
    """Requests that are taken back return at once, in mid-frame too: Aravis' stop hangs otherwise."""
    host = Host(make_camera(settings={"Width": 400, "Height": 300}))
    host.start(65536)
    buffers = [bytearray(n) for n in (1024, 65536, 54464, 1024) * 4]
    handles = [host.bus.submit_in(STREAM_IN, buffer) for buffer in buffers]
    assert host.bus.wait_in(handles[0]) == 52
    host.run("AcquisitionStop")
    for handle in reversed(handles):
        host.bus.cancel_in(handle)
    host.write_int(SI_CONTROL, 0)
    assert host.bus.device.next_wakeup_ns() is None or host.camera.frames.in_flight == 0
    host.start(65536)
    assert host.frame().block_id == 0


def test_item_41_response_time() -> None:
    """A response time well above the frame period: it is the stream time-out of Aravis and cameleon; and not above
    what GenCP 1.3.1 allows (clause 5.4.10)."""
    host = Host(make_camera(settings={"Width": 4096, "Height": 2168}))
    response_ms = host.read_int(0x1CC)
    assert response_ms <= 300
    assert response_ms >= 10 * 1000 / host.get("ResultingFrameRate")


def test_item_42_no_long_writes(host: Host) -> None:
    """Maximum command above maximum acknowledge by 8 where large writes occur: Aravis refuses them itself. None
    occur: no run of writable registers is longer than what fits."""
    command, acknowledge = struct.unpack("<II", host.read(SBRM + 0x14, 8))
    assert command == acknowledge == 1024
    longest = run = end = 0
    for region in host.camera.memory._regions:
        for register in region._registers:
            if "W" in register.access:
                run = run + register.size if register.address == end else register.size
                longest, end = max(longest, run), register.end
    assert 64 <= longest <= acknowledge - 12 - 8


def test_item_43_long_acknowledges(host: Host) -> None:
    """At least 64 + 12 bytes of acknowledge: strings are split, NI returns junk for split reads."""
    assert host.read_int(SBRM + 0x18) >= 64 + 12
    assert host.read(0x004, 64).rstrip(b"\0") == b"Basler"
    assert host.read(XML, 1012)[:4] == b"PK\3\4"
    with pytest.raises(Refused, match="0x8002"):
        host.read(XML, 1013)


def test_item_44_no_events_when_disabled(host: Host) -> None:
    """No event before the channel is enabled: a host that enables it later gets stale ones."""
    for name in ("Test", "FrameStart", "ExposureEnd"):
        host.set("EventSelector", name)
        host.set("EventNotification", "On")
    host.run("TestEventGenerate")
    host.write_int(EVENT_TEST, 1)
    host.start()
    host.frame()
    host.run("AcquisitionStop")
    host.bus.run(1_000_000_000)
    with pytest.raises(UsbTimeout):
        host.event()
    host.write_int(EI_CONTROL, 1)
    with pytest.raises(UsbTimeout):
        host.event()
    host.run("TestEventGenerate")
    host.write_int(EI_CONTROL, 0)
    host.write_int(EI_CONTROL, 1)
    with pytest.raises(UsbTimeout):
        host.event()
    assert host.read_int(EIRM + 4) >= 32


@pytest.mark.parametrize("disable_first", [True, False])
def test_item_45_reopened_after_a_crash(host: Host, disable_first: bool) -> None:
    """A host that died in mid-stream: the next one disables first (cameleon) or writes the SI registers and
    enables again at once (Aravis). Both get a stream from its beginning."""
    host.start()
    for _ in range(5):
        host.frame()
    handle = host.bus.submit_in(STREAM_IN, bytearray(1024))
    host.bus.run(2_000_000)
    host.bus.cancel_in(handle)  # the kernel takes back what the dead program had queued
    host.bus.run(500_000_000)
    assert host.read_int(SI_CONTROL) == 1
    if disable_first:
        host.write_int(SI_CONTROL, 0)
    host.start()
    for block_id in range(3):
        frame = host.frame()
        assert (frame.block_id, frame.status, frame.valid) == (block_id, 0, PAYLOAD)


@pytest.mark.parametrize("how", ["set_configuration", "bus_reset"])
def test_item_46_full_stop(host: Host, how: str) -> None:
    """SET_CONFIGURATION and bus reset stop everything: half a frame is left over otherwise."""
    host.set("EventSelector", "Test")
    host.set("EventNotification", "On")
    host.write_int(EI_CONTROL, 1)
    host.run("TestEventGenerate")
    host.start()
    host.frame()
    host.transfer(1024)
    host.send(readmem(0, 4))
    parked = host.bus.submit_in(STREAM_IN, bytearray(64))
    if how == "bus_reset":
        host.bus.device.bus_reset(host.bus.now_ns)
        assert usb.get_configuration(host.bus) == 0
    usb.set_configuration(host.bus, 1)
    try:
        assert host.bus.wait_in(parked) == 64  # it was served before
    except UsbGone:
        pass
    for endpoint in (CONTROL_IN, EVENT_IN, STREAM_IN):
        with pytest.raises(UsbTimeout):
            host.transfer(1024, endpoint)
    assert (host.read_int(SI_CONTROL), host.read_int(EI_CONTROL)) == (0, 0)
    assert host.get("Width") == 40  # it has kept its power
    host.start()
    assert host.frame().block_id == 0
    assert isinstance(host.bus, LoopbackBus)
    host.halt(CONTROL_OUT)
    usb.set_configuration(host.bus, 1)
    assert host.read(0, 4) == b"\1\0\1\0"  # halts are gone too
