import struct
from collections import deque

import pytest

from gadget.loopback import LoopbackBus
from tests.u3v.host.fake import (
    CONFIGURATION,
    MANIFEST,
    RESPONSE_TIME_MS,
    XML,
    FakeCamera,
    device_xml,
    entry,
    zipped,
)
from u3v.errors import GenCPError, Malformed, Status, U3VError
from u3v.host.bus import ReadBuffer, UsbGone, UsbOverflow, UsbTimeout, WriteBuffer
from u3v.host.client import MAX_PENDING_ACKS, MAX_STALE_ACKS, NoAnswer, U3VClient

# Packets that Wireshark's U3V dissector decodes without complaint, request ids 1 and 2.
READ_SBRM = "55 33 56 43 00 40 00 08 0c 00 01 00 d8 01 00 00 00 00 00 00 00 00 08 00"
READ_SBRM_ACK = "55 33 56 43 00 00 01 08 08 00 01 00 00 00 01 00 00 00 00 00"
ENABLE = "55 33 56 43 00 40 02 08 0c 00 02 00 04 00 02 00 00 00 00 00 01 00 00 00"
PENDING_500 = "55 33 56 43 00 00 05 08 04 00 02 00 00 00 f4 01"
WRITE_ACK = "55 33 56 43 00 00 03 08 04 00 02 00 00 00 04 00"
# What an ISG camera answered in Aravis issue 295, with the request id changed to 1.
ERROR_ACK = "55 33 56 43 ff 8f 01 08 00 00 01 00"


class Script:
    """A bus that knows a configuration descriptor and gives the prepared acknowledges, nothing else."""

    def __init__(self, *acks: str) -> None:
        self.acks = deque(bytes.fromhex(ack) for ack in acks)
        self.sent: list[str] = []
        self.timeouts: list[int] = []
        self.rooms: list[int] = []

    def control(self, setup: bytes, data_or_length: bytes | int, timeout_ms: int) -> bytes:
        assert setup[:4] == b"\x80\x06\x00\x02" and isinstance(data_or_length, int)
        return CONFIGURATION[:data_or_length]

    def bulk_out(self, endpoint: int, data: ReadBuffer, timeout_ms: int) -> int:
        assert endpoint == 0x01
        self.sent.append(bytes(data).hex(" "))
        return len(data)

    def bulk_in_into(self, endpoint: int, buffer: WriteBuffer, timeout_ms: int) -> int:
        assert endpoint == 0x81
        self.timeouts.append(timeout_ms)
        self.rooms.append(len(buffer))
        if not self.acks:
            raise UsbTimeout("nothing")
        ack = self.acks.popleft()
        if len(ack) > len(buffer):
            raise UsbOverflow("too much")
        buffer[: len(ack)] = ack
        return len(ack)

    def submit_in(self, endpoint: int, buffer: WriteBuffer) -> int:
        raise NotImplementedError

    def wait_in(self, handle: int, timeout_ms: int) -> int:
        raise NotImplementedError

    def cancel_in(self, handle: int) -> None:
        raise NotImplementedError

    def close(self) -> None:
        pass


def scripted(*acks: str) -> tuple[Script, U3VClient]:
    bus = Script(*acks)
    client = U3VClient(bus)
    client.find()
    return bus, client


def opened(camera: FakeCamera) -> U3VClient:
    client = U3VClient(LoopbackBus(camera))
    client.open()
    return client


def test_golden_read_and_write() -> None:
    bus, client = scripted(READ_SBRM_ACK, WRITE_ACK)
    assert client.read(0x1D8, 8) == bytes.fromhex("0000010000000000")
    client.write(0x20004, b"\1\0\0\0")
    assert bus.sent == [READ_SBRM, ENABLE]
    assert bus.rooms == [20, 16]


def test_pending_ack_is_waited_out() -> None:
    bus, client = scripted(READ_SBRM_ACK, PENDING_500, PENDING_500.replace("f4 01", "d0 07"), WRITE_ACK)
    client.read(0x1D8, 8)
    client.write(0x20004, b"\1\0\0\0")
    # never less than the camera's own response time (1000 ms as long as it is unknown)
    assert bus.timeouts == [1000, 1000, 1000, 2000]
    assert client.pending_acks == 2
    assert len(bus.sent) == 2


def test_pending_for_ever_is_given_up() -> None:
    _, client = scripted(READ_SBRM_ACK, *[PENDING_500] * (MAX_PENDING_ACKS + 1))
    client.read(0x1D8, 8)
    with pytest.raises(NoAnswer, match=r"write of 4 bytes at 0x20004: still pending after 65 PENDING_ACK"):
        client.write(0x20004, b"\1\0\0\0")


def test_stale_acks_are_dropped_and_counted() -> None:
    stale = READ_SBRM_ACK.replace("08 00 01 00", "08 00 00 00")
    longer = stale + " 00 00 00 00"  # does not even fit
    _, client = scripted(stale, longer, stale, READ_SBRM_ACK)
    assert client.read(0x1D8, 8) == bytes.fromhex("0000010000000000")
    assert client.stale_acks == 3


def test_only_stale_acks_is_no_answer() -> None:
    stale = READ_SBRM_ACK.replace("08 00 01 00", "08 00 00 00")
    _, client = scripted(*[stale] * (MAX_STALE_ACKS + 1))
    with pytest.raises(NoAnswer, match=r"read of 8 bytes at 0x1d8: 17 acknowledges, none"):
        client.read(0x1D8, 8)


def test_a_late_ack_does_not_answer_the_next_command() -> None:
    bus, client = scripted()
    with pytest.raises(NoAnswer, match=r"read of 8 bytes at 0x1d8: no acknowledge within 1000 ms"):
        client.read(0x1D8, 8)
    bus.acks.extend(map(bytes.fromhex, (READ_SBRM_ACK, WRITE_ACK)))
    client.write(0x20004, b"\1\0\0\0")
    assert client.stale_acks == 1


def test_an_error_status_is_a_gencp_error() -> None:
    bus, client = scripted(ERROR_ACK)
    with pytest.raises(GenCPError) as error:
        client.read(0x1D8, 8)
    assert error.value.status is Status.ERROR
    assert str(error.value) == "the camera refuses the read of 8 bytes at 0x1d8: ERROR (0x8fff)"
    assert len(bus.sent) == 1


def test_a_warning_is_no_refusal() -> None:
    """GenCP 1.3, 4.3.2.1: without the highest bit of its status a command was carried out."""
    _, client = scripted(READ_SBRM_ACK.replace("43 00 00", "43 01 00"), WRITE_ACK)
    assert client.read(0x1D8, 8) == bytes.fromhex("0000010000000000")
    client.write(0x20004, b"\1\0\0\0")
    assert client.warnings == 1


def test_an_unknown_status_keeps_its_number() -> None:
    _, client = scripted(ERROR_ACK.replace("ff 8f", "34 c2"))
    with pytest.raises(GenCPError, match="unknown status 0xc234"):
        client.read(0x1D8, 8)


@pytest.mark.parametrize(
    ("ack", "message"),
    [
        (READ_SBRM_ACK[:32], "11 bytes are no GenCP header"),
        (READ_SBRM_ACK.replace("43", "45"), "is not 'U3VC'"),
        (READ_SBRM_ACK[:-3], "SCD length 8 announced, 7 bytes arrived"),
        (READ_SBRM_ACK.replace("01 08", "03 08"), "acknowledge 0x0803 instead of 0x0801"),
        ("55 33 56 43 00 00 01 08 04 00 01 00 00 00 01 00", "4 bytes came back"),
    ],
)
def test_broken_acks_are_malformed(ack: str, message: str) -> None:
    _, client = scripted(ack)
    with pytest.raises(Malformed, match=message):
        client.read(0x1D8, 8)


def test_request_ids_skip_0_and_ffff() -> None:
    camera = FakeCamera()
    client = opened(camera)
    camera.commands.clear()
    for _ in range(0xFFFF):
        client.read(0, 4)
    ids = [struct.unpack_from("<H", packet, 10)[0] for packet in camera.commands]
    assert sorted(ids[:0xFFFE]) == list(range(1, 0xFFFF))
    assert ids[0xFFFE] == ids[0]


def test_open_reads_the_bootstrap_registers() -> None:
    camera = FakeCamera()
    client = opened(camera)
    assert camera.configured == [1]
    abrm, sbrm = client.abrm, client.sbrm
    assert (abrm.gencp_version, abrm.manufacturer_name, abrm.model_name) == (
        (1, 1),
        "Fake Vendor",
        "Fake One",
    )
    assert (abrm.family_name, abrm.device_version, abrm.manufacturer_info) == ("fam", "v1", "info")
    assert (abrm.serial_number, abrm.user_defined_name) == ("SN1", "bench")
    assert (abrm.manifest_address, abrm.sbrm_address) == (MANIFEST, 0x10000)
    assert (abrm.max_response_time_ms, client.timeout_ms) == (RESPONSE_TIME_MS, RESPONSE_TIME_MS)
    assert abrm.timestamp_increment_ns == 1
    assert (sbrm.u3v_version, sbrm.max_command_bytes, sbrm.max_ack_bytes) == ((1, 0), 1024, 1024)
    assert (sbrm.sirm_address, sbrm.sirm_length, sbrm.eirm_address, sbrm.current_speed) == (
        0x20000, 0x30, 0x30000, 0x08
    )  # fmt: skip
    sirm, eirm = client.sirm(), client.eirm()
    assert (sirm.alignment, sirm.required_payload) == (4, 64 * 16)
    assert (sirm.required_leader, sirm.required_trailer) == (52, 32)
    assert (eirm.control, eirm.max_event_bytes) == (0, 1024)
    assert client.strings().vendor == "Fake Vendor"
    assert client.strings().guid == "120900000001"
    assert client.strings().user_defined_name == ""


@pytest.mark.parametrize(("bit", "address"), [(0, 0x184), (3, 0x1FC), (8, 0x084)])
def test_registers_without_their_capability_are_not_read(bit: int, address: int) -> None:
    """GenCP 1.3, 5.3: such a register may answer INVALID_ADDRESS."""
    camera = FakeCamera()
    for capable in (True, False):
        if not capable:
            camera.poke(0x1C4, struct.pack("<Q", 0xB09 & ~(1 << bit)))
        camera.commands.clear()
        opened(camera)
        read = [struct.unpack_from("<Q", packet, 12)[0] for packet in camera.commands]
        assert (address in read) is capable


def test_an_already_configured_device_is_not_configured_again() -> None:
    camera = FakeCamera()
    bus = LoopbackBus(camera)
    U3VClient(bus).open()
    U3VClient(bus).open()
    assert camera.configured == [1]


@pytest.mark.parametrize(("limit", "writes", "reads"), [(64, 18, 15), (128, 8, 7), (1024, 1, 1)])
def test_access_is_split_by_the_cameras_limits(limit: int, writes: int, reads: int) -> None:
    camera = FakeCamera(max_command=limit, max_ack=limit)
    client = opened(camera)
    camera.commands.clear()
    data = bytes(range(256)) * 3 + b"tail"
    client.write(0x40100, data)
    assert len(camera.commands) == writes
    assert client.read(0x40100, len(data)) == data
    assert len(camera.commands) == writes + reads
    assert max(map(len, camera.commands)) <= limit
    assert {struct.unpack_from("<Q", packet, 12)[0] % 4 for packet in camera.commands} == {0}


def test_a_refused_write_names_register_and_status() -> None:
    client = opened(FakeCamera())
    with pytest.raises(GenCPError) as error:
        client.write(0x1CC, bytes(4))
    assert error.value.status is Status.WRITE_PROTECT
    assert str(error.value) == "the camera refuses the write of 4 bytes at 0x1cc: WRITE_PROTECT (0x8004)"


def test_a_short_write_is_noticed() -> None:
    camera = FakeCamera()
    client = opened(camera)
    camera.mangle_ack = lambda ack: [ack[:-2] + b"\x02\x00"]
    with pytest.raises(Malformed, match="the camera says 2 bytes written"):
        client.write(0x40000, bytes(4))


@pytest.mark.parametrize("field", [0x14, 0x18])
def test_a_limit_too_small_for_a_register_is_malformed(field: int) -> None:
    camera = FakeCamera()
    camera.poke(0x10000 + field, struct.pack("<I", 12))
    with pytest.raises(Malformed, match=r"Length is 12, less than the \d+ bytes a register access needs"):
        opened(camera)


def test_xml_zipped_and_raw() -> None:
    camera = FakeCamera()
    client = opened(camera)
    assert (client.xml().name, client.xml().text) == ("fake.xml", device_xml())
    camera.set_files(device_xml(), entry(device_xml(), kind=0x01010000))
    assert (client.xml().name, client.xml().text) == ("", device_xml())


def test_xml_of_the_highest_version_wins_and_unknown_files_are_ignored() -> None:
    camera = FakeCamera()
    client = opened(camera)
    camera.set_files(
        device_xml(),
        entry(b"other", address=0xDEAD0000, kind=0x01010007),
        entry(b"older", address=0xDEAD0000, kind=0x01010000, version=0x01000009),
        entry(device_xml(), kind=0x01010000, version=0x01010000),
    )
    assert client.xml().entry.file_version == (1, 1, 0)
    assert client.xml().text == device_xml()


def test_a_zero_sha1_means_none() -> None:
    camera = FakeCamera()
    client = opened(camera)
    camera.set_files(device_xml(), entry(device_xml(), kind=0x01010000, sha1=bytes(20)))
    assert client.xml().entry.sha1 is None


@pytest.mark.parametrize(
    ("file", "entries", "message"),
    [
        (b"x" * 9, [entry(b"y" * 9, kind=0x01010000)], "SHA-1 of the XML is"),
        (b"no zip at all", [entry(b"no zip at all")], "the XML is no readable zip"),
        (zipped(("a", b"1"), ("b", b"2")), [entry(zipped(("a", b"1"), ("b", b"2")))], "holds 2 files, not one"),
        (b"x", [entry(b"x", kind=0x01010800)], "XML format 2 is neither raw"),
        (b"x", [entry(b"x", kind=0x01010401)], "the manifest has no device XML"),
        (b"x", [entry(b"", kind=0x01010000)], "the XML is 0 bytes long"),
        (b"x", [], "says 0 entries"),
    ],
)  # fmt: skip
def test_bad_files_are_malformed(file: bytes, entries: list[bytes], message: str) -> None:
    camera = FakeCamera()
    client = opened(camera)
    camera.set_files(file, *entries)
    with pytest.raises(Malformed, match=message):
        client.xml()


def test_a_file_where_nothing_is_keeps_the_cameras_answer() -> None:
    camera = FakeCamera()
    client = opened(camera)
    camera.set_files(b"", entry(b"12345678", address=XML + 0x1000))
    with pytest.raises(GenCPError) as error:
        client.xml()
    assert error.value.status is Status.INVALID_ADDRESS


def test_channels_a_camera_does_not_have() -> None:
    camera = FakeCamera()
    camera.poke(0x10004, bytes(8))
    client = opened(camera)
    with pytest.raises(U3VError, match="no stream channel 0"):
        client.sirm()
    with pytest.raises(U3VError, match="no event channel"):
        client.eirm()


def test_a_client_that_is_not_open_says_so() -> None:
    client = U3VClient(Script())
    for what in ("function", "abrm", "sbrm"):
        with pytest.raises(U3VError, match="not open"):
            getattr(client, what)


def test_an_unplugged_camera_is_gone() -> None:
    camera = FakeCamera()
    bus = LoopbackBus(camera)
    client = U3VClient(bus)
    client.open()
    bus.device.unplug(bus.now_ns)
    with pytest.raises(UsbGone):
        client.read(0, 4)
