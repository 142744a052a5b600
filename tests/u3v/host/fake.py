"""A small camera for the host side's tests, written down in bytes: it shares no code with `u3v.wire`.

`FakeCamera` is a USB function over a sparse register space. It answers GenCP, and after AcquisitionStart
gives frames of `pattern(block_id, size)` bytes, cut as the SI registers say. Faults: `mangle_ack(ack)` gives
the packets to send instead of an acknowledge, `mangle_frame(block_id, transfers)` changes the transfers of a
frame: a list of (data, room), where `room` is what the host asked for.
"""

import hashlib
import io
import struct
import zipfile
from collections import deque
from collections.abc import Callable

from u3v.function import InTransfer
from u3v.wire.usb import Descriptors, Speed

SBRM, SIRM, EIRM, MANIFEST, FEATURES, XML = 0x10000, 0x20000, 0x30000, 0x34000, 0x40000, 0x100000
WIDTH, EXPOSURE, PIXEL_FORMAT, START, STOP, FLIP, LOCKED = (
    0x40000, 0x40010, 0x40008, 0x40020, 0x40024, 0x40028, 0x4002C
)  # fmt: skip
HEIGHT = 16
MONO8, MONO12P = 0x01080001, 0x010C0047
BITS = {MONO8: 8, MONO12P: 12}
RESPONSE_TIME_MS = 700

DEVICE = bytes.fromhex("12010003ef020109 09120100 0001 01020301".replace(" ", ""))
# The complete SuperSpeed configuration of a three-interface camera, byte by byte.
CONFIGURATION = bytes.fromhex(
    """
    09 02 74 00 03 01 00 80 32
    08 0b 00 03 ef 05 00 00
    09 04 00 00 02 ef 05 00 00
    14 24 01 01 00 01 00 02 00 01 00 04 01 02 05 06 07 03 00 0c
    07 05 01 02 00 04 00  06 30 00 00 00 00
    07 05 81 02 00 04 00  06 30 00 00 00 00
    09 04 01 00 01 ef 05 01 00
    07 05 82 02 00 04 00  06 30 00 00 00 00
    09 04 02 00 01 ef 05 02 00
    07 05 83 02 00 04 00  06 30 0f 00 00 00
    """
)
STRINGS = {1: "Fake Vendor", 2: "Fake One", 3: "SN1", 4: "120900000001", 5: "v1", 6: "fam", 7: "info"}

_NODES = """
<Category Name="Root"><pFeature>ImageFormatControl</pFeature><pFeature>Other</pFeature></Category>
<Category Name="ImageFormatControl"><pFeature>Width</pFeature><pFeature>Height</pFeature>
 <pFeature>PixelFormat</pFeature><pFeature>PayloadSize</pFeature></Category>
<Category Name="Other"><pFeature>ExposureTime</pFeature><pFeature>AcquisitionStart</pFeature>
 <pFeature>AcquisitionStop</pFeature><pFeature>DeviceModelName</pFeature><pFeature>Flip</pFeature>
 <pFeature>Locked</pFeature><pFeature>Absent</pFeature></Category>
<Integer Name="Width"><pValue>WidthReg</pValue><Min>8</Min><Max>4096</Max><Inc>8</Inc><Unit>px</Unit></Integer>
<IntReg Name="WidthReg"><Address>0x40000</Address><Length>4</Length><AccessMode>RW</AccessMode>{reg}
<Integer Name="Height"><Value>16</Value><Min>16</Min><Max>16</Max></Integer>
<Float Name="ExposureTime"><pValue>ExpReg</pValue><Min>10</Min><Max>1000000</Max><Unit>us</Unit></Float>
<FloatReg Name="ExpReg"><Address>0x40010</Address><Length>8</Length><AccessMode>RW</AccessMode>
 <pPort>Device</pPort><Endianess>LittleEndian</Endianess></FloatReg>
<Enumeration Name="PixelFormat"><EnumEntry Name="Mono8"><Value>17301505</Value></EnumEntry>
 <EnumEntry Name="Mono12p"><Value>17563719</Value></EnumEntry><pValue>FormatReg</pValue></Enumeration>
<IntReg Name="FormatReg"><Address>0x40008</Address><Length>4</Length><AccessMode>RW</AccessMode>{reg}
<Integer Name="PayloadSize"><pValue>PayloadReg</pValue></Integer>
<IntReg Name="PayloadReg"><Address>0x20008</Address><Length>8</Length><AccessMode>RO</AccessMode>{volatile}
<Command Name="AcquisitionStart"><pValue>StartReg</pValue><CommandValue>1</CommandValue></Command>
<IntReg Name="StartReg"><Address>0x40020</Address><Length>4</Length><AccessMode>WO</AccessMode>{volatile}
<Command Name="AcquisitionStop"><pValue>StopReg</pValue><CommandValue>1</CommandValue></Command>
<IntReg Name="StopReg"><Address>0x40024</Address><Length>4</Length><AccessMode>WO</AccessMode>{volatile}
<StringReg Name="DeviceModelName"><Address>0x44</Address><Length>64</Length><AccessMode>RO</AccessMode>
 <pPort>Device</pPort></StringReg>
<Boolean Name="Flip"><pValue>FlipReg</pValue></Boolean>
<IntReg Name="FlipReg"><Address>0x40028</Address><Length>4</Length><AccessMode>RW</AccessMode>{reg}
<Integer Name="Locked"><pValue>LockedReg</pValue></Integer>
<IntReg Name="LockedReg"><Address>0x4002C</Address><Length>4</Length><AccessMode>RW</AccessMode>{volatile}
<Integer Name="Absent"><pIsImplemented>Never</pIsImplemented><Value>0</Value></Integer>
<Integer Name="Never"><Value>0</Value></Integer>
<Port Name="Device"></Port>
"""


def device_xml() -> bytes:
    tail = "<pPort>Device</pPort>{}<Sign>Unsigned</Sign><Endianess>LittleEndian</Endianess></IntReg>"
    nodes = _NODES.format(reg=tail.format(""), volatile=tail.format("<Cachable>NoCache</Cachable>"))
    space = "http://www.genicam.org/GenApi/Version_1_1"
    return (
        '<?xml version="1.0" encoding="utf-8"?><RegisterDescription ModelName="Fake" VendorName="Toy"'
        ' ToolTip="" StandardNameSpace="USB" SchemaMajorVersion="1" SchemaMinorVersion="1"'
        ' SchemaSubMinorVersion="1" MajorVersion="1" MinorVersion="0" SubMinorVersion="0"'
        ' ProductGuid="11111111-2222-3333-4444-555555555555"'
        f' VersionGuid="11111111-2222-3333-4444-555555555556" xmlns="{space}"'
        ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
        f' xsi:schemaLocation="{space} http://www.genicam.org/GenApi/GenApiSchema_Version_1_1.xsd">'
        f"{nodes}</RegisterDescription>"
    ).encode()


def zipped(*files: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files:
            archive.writestr(name, data)
    return out.getvalue()


def entry(
    file: bytes,
    address: int = XML,
    kind: int = 0x01010400,
    version: int = 0x01000000,
    sha1: bytes | None = None,
) -> bytes:
    """A manifest entry; `kind` 0x01010400 is schema 1.1, zip, device XML."""
    digest = hashlib.sha1(file).digest() if sha1 is None else sha1
    return struct.pack("<IIQQ", version, kind, address, len(file)) + digest + bytes(20)


def pattern(block_id: int, size: int) -> bytes:
    start = block_id % 251
    tile = bytes(range(251))
    return (tile[start:] + tile * (size // 251 + 1))[:size]


Transfers = list[tuple[bytes, int]]


class FakeCamera:
    def __init__(self, *, max_command: int = 1024, max_ack: int = 1024, alignment_exponent: int = 2) -> None:
        self.space: dict[int, bytearray] = {}
        self.commands: list[bytes] = []
        self.halts: list[int] = []
        self.configured: list[int] = []
        self.mangle_ack: Callable[[bytes], list[bytes]] = lambda ack: [ack]
        self.mangle_frame: Callable[[int, Transfers], Transfers] = lambda block_id, transfers: transfers
        self.frame_limit = 1 << 62
        self.acquiring = False
        self.block_id = 0
        self.max_ack = max_ack
        self.read_only = [range(0x184), range(0x1C4, 0x1E0), range(SIRM + 8, SIRM + 0x18)]
        self._acks: deque[bytes] = deque()
        self._queue: deque[tuple[bytes, int]] = deque()
        for base, size in ((0, 0x1000), (SBRM, 0x1000), (SIRM, 0x1000), (EIRM, 0x1000), (FEATURES, 0x1000)):
            self.space[base] = bytearray(size)
        names = ("Fake Vendor", "Fake One", "fam", "v1", "info", "SN1", "bench")
        self.poke(0, struct.pack("<I", 0x00010001))
        for number, name in enumerate(names):
            self.poke(4 + 64 * number, name.encode().ljust(64, b"\0"))
        self.poke(0x1C4, struct.pack("<QIQQ", 0xB09, RESPONSE_TIME_MS, MANIFEST, SBRM))
        self.poke(0x1FC, struct.pack("<Q", 1))
        self.poke(SBRM, struct.pack("<IQQIII", 0x00010000, 3, 0, max_command, max_ack, 1))
        self.poke(SBRM + 0x20, struct.pack("<QIQIQI", SIRM, 0x30, EIRM, 12, 0, 8))
        self.poke(SIRM, struct.pack("<I", alignment_exponent << 24))
        self.poke(SIRM + 0x10, struct.pack("<II", 52, 32))
        self.poke(EIRM + 4, struct.pack("<I", 1024))
        self.poke(WIDTH, struct.pack("<I", 64))
        self.poke(PIXEL_FORMAT, struct.pack("<I", MONO8))
        self.poke(EXPOSURE, struct.pack("<d", 5000.0))
        file = zipped(("fake.xml", device_xml()))
        self.set_files(file, entry(file))
        self._update()

    def set_files(self, file: bytes, *entries: bytes) -> None:
        self.space[XML] = bytearray(file)
        self.space[MANIFEST] = bytearray(struct.pack("<Q", len(entries)) + b"".join(entries))

    def poke(self, address: int, data: bytes) -> None:
        base = max(base for base in self.space if base <= address)
        self.space[base][address - base : address - base + len(data)] = data

    def peek(self, address: int, size: int) -> bytes | None:
        base = max((base for base in self.space if base <= address), default=-1)
        if base < 0 or address - base + size > len(self.space[base]):
            return None
        return bytes(self.space[base][address - base : address - base + size])

    def number(self, address: int, size: int = 4) -> int:
        raw = self.peek(address, size)
        assert raw is not None
        return int.from_bytes(raw, "little")

    @property
    def payload_size(self) -> int:
        return (self.number(WIDTH) * HEIGHT * BITS[self.number(PIXEL_FORMAT)] + 7) // 8

    # the USB function

    def descriptors(self, speed: Speed) -> Descriptors:
        bos = bytes.fromhex("050f16000207100 21e640000 0a1003000e00030aff07".replace(" ", ""))
        return Descriptors(DEVICE, CONFIGURATION, bos, None, STRINGS)

    def use_speed(self, speed: Speed) -> None:
        pass

    def configure(self, value: int, now_ns: int) -> None:
        self.configured.append(value)
        self._stop()

    def transfer_out(self, endpoint: int, data: memoryview, now_ns: int) -> None:
        assert endpoint == 0x01
        packet = bytes(data)
        self.commands.append(packet)
        assert packet[:4] == b"U3VC" and packet[4:6] == b"\x00\x40"
        command, length, request_id = struct.unpack_from("<HHH", packet, 6)
        assert length == len(packet) - 12 and len(packet) <= max(self.number(SBRM + 0x14), 24)
        status, scd = self._execute(command, packet[12:])
        ack = b"U3VC" + struct.pack("<HHHH", status, command + 1, len(scd), request_id) + scd
        self._acks.extend(self.mangle_ack(ack))

    def transfer_in(self, endpoint: int, now_ns: int) -> InTransfer | None:
        if endpoint == 0x81 and self._acks:
            return InTransfer(memoryview(self._acks.popleft()))
        if endpoint == 0x83 and self.acquiring and self.number(SIRM + 4):
            while not self._queue and self.block_id < self.frame_limit:
                self._queue.extend(self.mangle_frame(self.block_id, self._frame()))
                self.block_id += 1
            if self._queue:
                data, room = self._queue.popleft()
                return InTransfer(memoryview(data), ends=len(data) != room)
        return None

    def set_halt(self, endpoint: int, now_ns: int) -> None:
        pass

    def clear_halt(self, endpoint: int, now_ns: int) -> None:
        self.halts.append(endpoint)
        if endpoint == 0x83:
            self._queue.clear()

    def tick(self, now_ns: int) -> None:
        pass

    def next_wakeup_ns(self) -> int | None:
        return None

    def _execute(self, command: int, scd: bytes) -> tuple[int, bytes]:
        address = struct.unpack_from("<Q", scd)[0]
        if command == 0x0800:
            size = struct.unpack_from("<H", scd, 10)[0]
            assert 12 + size <= self.max_ack
            found = self.peek(address, size)
            return (0x8003, b"") if found is None else (0, found)
        assert command == 0x0802
        data = scd[8:]
        if self.peek(address, len(data)) is None:
            return 0x8003, b""
        if any(address in span for span in self.read_only):
            return 0x8004, b""
        if address == LOCKED:
            return 0x8006, b""
        self.poke(address, data)
        if address == START:
            self.acquiring = True
        elif address == STOP:
            self.acquiring = False
        elif address == SIRM + 4:
            self.block_id = 0
            self._queue.clear()
        self._update()
        return 0, struct.pack("<HH", 0, len(data))

    def _stop(self) -> None:
        self.acquiring = False
        self._queue.clear()
        self._acks.clear()
        self.poke(SIRM + 4, bytes(4))

    def _update(self) -> None:
        self.poke(SIRM + 8, struct.pack("<Q", self.payload_size))

    def _frame(self) -> Transfers:
        leader_room, size, count, final1, final2, trailer_room = struct.unpack(
            "<6I", self.peek(SIRM + 0x18, 24) or b""
        )
        rooms = [size] * count + [final for final in (final1, final2) if final]
        payload = pattern(self.block_id, self.payload_size)
        width, code = self.number(WIDTH), self.number(PIXEL_FORMAT)
        out = [(leader(self.block_id, code, width, HEIGHT), leader_room)]
        for room in rooms:
            out.append((payload[:room], room))
            payload = payload[room:]
        assert not payload
        return [*out, (trailer(self.block_id, self.payload_size, HEIGHT), trailer_room)]


def leader(block_id: int, code: int, width: int, height: int) -> bytes:
    head = b"U3VL" + struct.pack("<HHQHHQ", 0, 52, block_id, 0, 1, 1_000_000 + block_id)
    return head + struct.pack("<IIIIIHH", code, width, height, 0, 0, 0, 0)


def trailer(block_id: int, valid: int, height: int, status: int = 0) -> bytes:
    return b"U3VT" + struct.pack("<HHQHHQI", 0, 32, block_id, status, 0, valid, height)
