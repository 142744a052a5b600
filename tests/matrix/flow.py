"""Mutants of the stream: its geometries and chunks, its starts and stops, and the plans that it is given."""

import struct
from dataclasses import replace
from typing import Any

from gadget.runner import BuiltCamera
from tests.matrix.gencp import SIRM, answered
from tests.matrix.rig import Acks, Mutant, Spoil, about, frames, put, register, rewriting, several, wrap
from tests.matrix.seams import (
    acquisition,
    before,
    feature_ignored,
    instances,
    method,
    more_nodes,
    numbers,
    on_write,
    places,
    usb,
    write_of,
)
from tests.matrix.stream import sirm
from u3v.function import InTransfer
from u3v.wire import gencp
from u3v.wire.pfnc import PIXEL_FORMATS
from u3v.wire.stream import Leader
from u3v.wire.usb import CONTROL_IN, STREAM_IN

CONTROL, SIZE, COUNT, FINAL1, FINAL2 = 0x04, 0x1C, 0x20, 0x24, 0x28
PLAN = ("SI_Maximum_Leader_Size", "SI_Payload_Transfer_Size", "SI_Payload_Transfer_Count") + (
    "SI_Payload_Final_Transfer1_Size",
    "SI_Payload_Final_Transfer2_Size",
    "SI_Maximum_Trailer_Size",
)
SIZES = tuple(name for name in PLAN if "Count" not in name)


def of(wrapper: Any) -> Any:
    """The camera whose frames a wrapper sees."""
    return wrapper.victim.camera


def when(condition, change):  # type: ignore[no-untyped-def]
    """Of a part of a frame: `change(bytes)` where `condition(bytes, wrapper)`, else as it is."""
    return lambda raw, wrapper: change(raw) if condition(raw, wrapper) else [raw]


def told_unpacked(raw: bytes, wrapper: Any) -> list[bytes]:
    packed, plain = (struct.pack("<I", PIXEL_FORMATS[name].code) for name in ("Mono12p", "Mono12"))
    return [put(raw, 28, plain) if raw[28:32] == packed else raw]


def same_again() -> Spoil:
    seen: dict[tuple[int, int], bytes] = {}
    return frames(payload=lambda raw, wrapper: [seen.setdefault((wrapper.at_byte, len(raw)), raw)])


def big_endian_marks(built: BuiltCamera) -> None:
    built.camera._tail._mark = struct.Struct(">II").pack  # type: ignore[union-attr]


def of_the_frame_before(begin, built):  # type: ignore[no-untyped-def]
    last: list[Any] = []

    def made(exposure: Any, version: int) -> Any:
        last.append(exposure)
        return begin(last[-2:][0], version)

    return made


GENDC = """  <Enumeration Name="GenDCStreamingMode" NameSpace="Standard">
    <ToolTip>Whether frames are GenDC containers.</ToolTip>
    <EnumEntry Name="Off" NameSpace="Standard"><Value>0</Value></EnumEntry>
    <EnumEntry Name="On" NameSpace="Standard"><Value>1</Value></EnumEntry>
    <pValue>TestImageSelector_Reg</pValue>
  </Enumeration>
"""


def in_gendc(raw: bytes, wrapper: Any) -> bool:
    return bool(of(wrapper).features.get("TestImageSelector") != "Off")


def container(raw: bytes, wrapper: Any) -> list[bytes]:
    """A descriptor of 56 bytes, one component, its data beyond the end."""
    if wrapper.at_byte or not in_gendc(raw, wrapper):
        return [raw]
    head = b"GNDC" + bytes(28) + struct.pack("<QQII", len(raw), len(raw), 56, 1)
    return [head + raw[len(head) :]]


class Leftover(Acks):
    """A piece of the frame before comes first once the stream is enabled again; `after(address, data)`: the write
    that leaves one behind."""

    def __init__(self, inner: Any, after: Any) -> None:
        super().__init__(inner)
        self._after = after
        self._piece = b""
        self._is_left = False

    def transfer_out(self, endpoint: int, data: memoryview, now_ns: int) -> None:
        address, value = write_of(bytes(data))
        self._is_left = self._is_left or (bool(self._piece) and self._after(address, value))
        super().transfer_out(endpoint, data, now_ns)

    def transfer_in(self, endpoint: int, now_ns: int) -> InTransfer | None:
        if endpoint != STREAM_IN:
            return super().transfer_in(endpoint, now_ns)
        transfer = self.queued(endpoint) or self.inner.transfer_in(endpoint, now_ns)
        if transfer is None:
            return None
        if self._is_left and transfer.data[:4] == b"U3VL":
            self._is_left = False
            self.put(endpoint, [transfer])
            return InTransfer(memoryview(self._piece))
        self._piece = bytes(transfer.data[:512])
        return transfer


def leftover(after_name: str) -> Spoil:
    """After a write of this register, the next stream begins with a piece of the one before."""

    def spoil(built: BuiltCamera) -> None:
        at, _ = places(built, after_name)
        wrap(built, lambda inner: Leftover(inner, lambda address, data: address == at))

    return spoil


def spontaneous_leader(when_enabled: bool):  # type: ignore[no-untyped-def]
    """A leader comes by itself, after the stream was enabled and disabled, or where it never was."""

    def make(built: BuiltCamera):  # type: ignore[no-untyped-def]
        sent: list[int] = []
        stream = usb(built).stream

        def leader(endpoint: int, now_ns: int) -> InTransfer | None:
            if endpoint != STREAM_IN or stream.enabled or sent:
                return None
            if when_enabled and not enabled:
                return None
            sent.append(now_ns)
            return InTransfer(memoryview(Leader(0, now_ns, 0x01080001, 64, 32, 0, 0).pack()))

        enabled: list[bool] = []
        enable = stream.enable
        stream.enable = lambda plan: (enabled.append(True), enable(plan))[1]  # type: ignore[method-assign]
        return leader

    return before(make)


def mixed(raw: bytes, wrapper: Any) -> bool:
    """Frames wait in memory: the camera goes on where it should not."""
    return bool(of(wrapper).frames.in_flight > 20)


def every_tenth_vanishes(claims, built):  # type: ignore[no-untyped-def]
    count = numbers()
    return lambda size: next(count) % 10 != 9 and claims(size)


def blocked_by_frames(built: BuiltCamera):  # type: ignore[no-untyped-def]
    """No acknowledge leaves while frames wait for the host."""
    return lambda endpoint, now_ns: (
        False if endpoint == CONTROL_IN and built.camera.frames.in_flight > 2 else None
    )


def runs_freely(enable, built):  # type: ignore[no-untyped-def]
    return lambda plan: (enable(plan), built.camera.acquisition.start(built.camera.now_ns))


def counted_from_start(opened, built):  # type: ignore[no-untyped-def]
    def made() -> None:
        opened()
        if built.camera.acquisition.active:
            built.camera.frames.next_block_id = built.camera.acquisition.exposed & 0xFF

    return made


def restarts_ids(start, built):  # type: ignore[no-untyped-def]
    def made(now_ns: int) -> None:
        if built.camera.acquisition.active:
            built.camera.frames.next_block_id = 0
        start(now_ns)

    return made


def needs_two_requests(built: BuiltCamera) -> None:
    """The stream sends nothing for the last request that waits."""
    waiting = [0]

    def hear(what: str, urb: Any, now_ns: int) -> None:
        if urb.endpoint == STREAM_IN:
            waiting[0] += 1 if what == "S" else -1

    built.device.observers.append(hear)
    before(lambda b: lambda endpoint, now_ns: False if endpoint == STREAM_IN and waiting[0] < 2 else None)(
        built
    )


def planned(offset: int, change) -> Spoil:  # type: ignore[no-untyped-def]
    """What is written to a register of the plan is another value."""

    def changed(packet: bytes) -> bytes:
        address, data = write_of(packet)
        if address != SIRM + offset or len(data) != 4:
            return packet
        return packet[:20] + struct.pack("<I", change(struct.unpack("<I", data)[0]))

    return rewriting(changed)


def zeros_for_count(raw: bytes, wrapper: Any) -> list[bytes]:
    """A transfer of size 0 is an empty one."""
    memory = of(wrapper).memory
    size, count = struct.unpack("<II", memory.device_read(SIRM + SIZE, 8))
    return [b""] * (count if not size and not wrapper.at_byte else 0) + [raw]


def lenient(built: BuiltCamera) -> None:
    """A strict camera that refuses no plan."""
    bootstrap = usb(built).bootstrap
    bootstrap._options = replace(bootstrap._options, strict=False)


def any_size(built: BuiltCamera) -> None:
    for name in SIZES:
        for each in instances(built, name):
            each.check = None


def bit_stays(built: BuiltCamera) -> None:
    """SI_Control reads 1 after it was refused."""
    refused = [False]

    def each(ack: bytes, command: gencp.Command | None, now_ns: int) -> list[bytes]:
        kind, first, _ = about(command)
        if first == SIRM + CONTROL and kind == gencp.WRITEMEM_CMD:
            refused[0] = ack[4:6] != b"\0\0"
        if first == SIRM + CONTROL and kind == gencp.READMEM_CMD and refused[0]:
            return [ack[:12] + b"\1\0\0\0"]
        return [ack]

    wrap(built, lambda inner: Acks(inner, each))


def order_enforced(built: BuiltCamera) -> None:
    last = [0]

    def status(command: gencp.Command | None, packet: bytes) -> int | None:
        kind, first, _ = about(command)
        at = first - SIRM
        if kind != gencp.WRITEMEM_CMD or not 0x18 <= at <= 0x2C:
            return None
        before_it, last[0] = last[0], at
        return 0x8002 if at not in (0x18, before_it) and at < before_it else None

    answered(status)(built)


def recut(built: BuiltCamera) -> None:
    """What is written to the plan counts at once."""
    function = usb(built)

    def written() -> None:
        function.stream._plan = function.bootstrap._plan()

    for name in PLAN:
        for each in instances(built, name):
            each.written = written


def forgotten_plan(disable, built):  # type: ignore[no-untyped-def]
    def made() -> None:
        disable()
        built.camera.memory.device_write(SIRM + 0x18, bytes(24))

    return made


def beyond_the_plan(enable, built):  # type: ignore[no-untyped-def]
    return lambda plan: enable(replace(plan, final2_size=1 << 20))


def second_is_silent(start, built):  # type: ignore[no-untyped-def]
    count = numbers()
    return lambda now_ns: None if next(count) else start(now_ns)


MUTANTS = [
    Mutant(
        "payloads of one packet fail",
        "STREAM-019",
        frames(payload=when(lambda raw, w: len(raw) == of(w).wire_bytes == 1024, lambda raw: [raw[:-4]])),
    ),
    Mutant(
        "fails at the smallest height",
        "STREAM-021",
        frames(payload=when(lambda raw, w: of(w).settings.height == 1, lambda raw: [raw[:-4]])),
    ),
    Mutant("code of the unpacked format", "STREAM-022", frames(leader=told_unpacked)),
    Mutant(
        "payload of the unbinned image",
        "STREAM-023",
        frames(payload=when(lambda raw, w: of(w).settings.binning_horizontal > 1, lambda raw: [raw + raw])),
    ),
    Mutant("the same frame again", "STREAM-026", same_again()),
    Mutant("chunks with big-endian marks", "STREAM-027", big_endian_marks),
    Mutant(
        "padding behind the last chunk",
        "STREAM-027",
        frames(payload=when(lambda raw, w: of(w).settings.chunk_bytes, lambda raw: [raw[4:] + bytes(4)])),
    ),
    Mutant(
        "chunks of the frame before",
        "STREAM-028",
        method(lambda built: built.camera._tail, "begin", of_the_frame_before),
    ),
    Mutant(
        "GenDC with data beyond the end",
        "STREAM-029",
        several(
            more_nodes(GENDC),
            frames(
                leader=when(in_gendc, lambda raw: [put(raw, 18, b"\x01\x10")]),
                payload=container,
            ),
        ),
    ),
    Mutant("second start silent", "STREAM-031", acquisition("start", second_is_silent), also="BOOT-SIRM-010"),
    Mutant("rest of the old frame first", "STREAM-032", leftover("SI_Control")),
    Mutant("goes on after AcquisitionStop", "STREAM-033", feature_ignored("AcquisitionStop")),
    Mutant("abort leaves a piece behind", "STREAM-034", leftover("AcquisitionAbort")),
    Mutant(
        "overwrites a frame on its way",
        "STREAM-035",
        frames(trailer=when(mixed, lambda raw: [put(raw, 8, bytes((raw[8] + 1 & 0xFF,)))])),
    ),
    Mutant(
        "lost frames not counted",
        "STREAM-036",
        method(lambda built: built.camera.frames, "claims", every_tenth_vanishes),
    ),
    Mutant("control blocked by the stream", "STREAM-037", before(blocked_by_frames)),
    Mutant("free-runs", "STREAM-038", method(lambda built: usb(built).stream, "enable", runs_freely)),
    Mutant(
        "ids of frames nobody got",
        "STREAM-039",
        method(lambda built: built.camera.frames, "open", counted_from_start),
    ),
    Mutant("second start restarts ids", "STREAM-040", acquisition("start", restarts_ids)),
    Mutant(
        "needs two requests in flight",
        "STREAM-041",
        needs_two_requests,
        settings={"AcquisitionFrameRateEnable": "true", "AcquisitionFrameRate": "5"},
    ),
    Mutant("leftover leader", "STREAM-045", spontaneous_leader(True)),
    Mutant("spontaneous stream data", "STREAM-046", spontaneous_leader(False)),
    Mutant("final transfer 2 ignored", "SI-003 SI-012", planned(FINAL2, lambda value: 0)),
    Mutant(
        "room of 36 bytes for a trailer refused",
        "SI-005",
        several(register("SI_Required_Trailer_Size", 32), sirm(0x2C, 0xA004, lambda value: value == 36)),
    ),
    Mutant("more than 8 transfers refused", "SI-006", sirm(COUNT, 0x8002, lambda value: 8 < value < 4096)),
    Mutant(
        "an empty transfer after whole packets",
        "SI-007",
        frames(trailer=when(lambda raw, w: w.at_byte % 1024 == 0, lambda raw: [b"", raw])),
    ),
    Mutant("single transfer capped", "SI-008", planned(SIZE, lambda value: min(value, 0x10000))),
    Mutant(
        "next packet glued on",
        "SI-011",
        frames(payload=when(lambda raw, w: len(raw) == 1028, lambda raw: [raw + bytes(1020)])),
    ),
    Mutant("a size of 0 is sent as empty transfers", "SI-013", frames(payload=zeros_for_count)),
    Mutant("count is signed", "SI-014", planned(COUNT, lambda value: value if value < 1 << 31 else 0)),
    Mutant(
        "cut frame with status 0",
        "SI-015",
        frames(trailer=lambda raw, wrapper: [put(raw, 16, b"\0\0")]),
    ),
    Mutant("inconsistent registers accepted", "SI-016", lenient, strict=True),
    Mutant("leader longer than announced", "SI-017", frames(leader=lambda raw, w: [raw.ljust(1024, b"\0")])),
    Mutant(
        "trailer longer than announced", "SI-018", frames(trailer=lambda raw, w: [raw.ljust(1024, b"\0")])
    ),
    Mutant("unaligned sizes stored", "SI-019", any_size, strict=True),
    Mutant("enable bit stays set", "SI-021", bit_stays, strict=True),
    Mutant("order enforced", "SI-022", order_enforced),
    Mutant("running stream re-cut", "SI-023", recut),
    Mutant(
        "second enable refused",
        "SI-024",
        on_write("SI_Control", lambda raw, b: 0x8006 if raw[0] and usb(b).stream.enabled else None),
    ),
    Mutant(
        "overruns the announced plan",
        "SI-015 SI-026",
        method(lambda built: usb(built).stream, "enable", beyond_the_plan),
    ),
    Mutant(
        "plan forgotten at disable",
        "SI-025",
        method(lambda built: usb(built).stream, "disable", forgotten_plan),
    ),
]
