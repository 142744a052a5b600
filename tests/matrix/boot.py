"""Mutants of the bootstrap registers and of the manifest."""

import struct

from gadget.runner import BuiltCamera
from tests.matrix.gencp import (
    ENTRY,
    MANIFEST,
    READ,
    SBRM,
    SIRM,
    WRITE,
    Command,
    drifts,
    keeps,
    read_error,
    stays,
)
from tests.matrix.rig import Mutant, about, acks, ok, overlay, register, rewriting, several
from u3v.wire import bootstrap as boot

EIRM = boot.EIRM_ADDRESS
SI_CONTROL, REQUIRED = SIRM + 0x04, SIRM + 0x08
NAME, NAME_BYTES, CONFIGURATION, ENDIANNESS = 0x184, 64, 0x1E0, 0x20C


def after_power(built: BuiltCamera, change) -> None:  # type: ignore[no-untyped-def]
    """`change()` is done each time the camera has power again."""
    come_back = built.port.on_return

    def returned(now_ns: int) -> None:
        come_back(now_ns)
        change()

    built.port.on_return = returned


def name_lost(built: BuiltCamera) -> None:
    after_power(built, lambda: built.camera.memory.device_write(NAME, bytes(NAME_BYTES)))


def second_entry(built: BuiltCamera) -> None:
    """The manifest names the same file twice."""
    entry = built.camera.memory.device_read(ENTRY, 64)
    overlay({MANIFEST: struct.pack("<Q", 2), ENTRY + 64: entry})(built)


def payload_moves(built: BuiltCamera) -> None:
    """A write of Width counts at once in SI_Required_Payload_Size, even while the stream is on."""
    width = built.camera.features.address["Width"]
    written = [False]

    def change(ack: bytes, command: Command, now_ns: int) -> list[bytes]:
        kind, first, count = about(command)
        if kind == WRITE and first == width and built.camera.frames.enabled:
            written[0] = True
        if written[0] and (kind, first) == (READ, REQUIRED) and ok(ack):
            return [ack[:12] + struct.pack("<Q", 4096)[:count]]
        return [ack]

    acks(change)(built)


MUTANTS = [
    Mutant("GenCP version 0x00000101", "BOOT-ABRM-001", register("GenCP_Version", 0x101)),
    Mutant("blank model", "BOOT-ABRM-002", register("Model_Name", bytes(64))),
    Mutant("Device_Version empty", "BOOT-ABRM-003", register("Device_Version", bytes(64))),
    Mutant(
        "rest of an older string", "BOOT-ABRM-004", register("Device_Version", b"1.0\0older".ljust(64, b"\0"))
    ),
    Mutant("bit 40 set", "BOOT-ABRM-005", register("Device_Capability", 0xB0D | 1 << 40)),
    Mutant("bit 9 clear", "BOOT-ABRM-006", register("Device_Capability", 0x90D)),
    Mutant("no timestamp", "BOOT-ABRM-007", register("Device_Capability", 0xB05)),
    Mutant("family bit without register", "BOOT-ABRM-008", read_error(0x84, 64, 0x8003)),
    Mutant(
        "zeros instead of 8003",
        "BOOT-ABRM-009",
        overlay({0x1E8: bytes(4), 0x204: bytes(4), 0x20C: bytes(4), 0x210: bytes(4)}),
    ),
    Mutant("MDRT 0", "BOOT-ABRM-010", register("Maximum_Device_Response_Time", 0)),
    Mutant("MDRT 1000", "BOOT-ABRM-011", register("Maximum_Device_Response_Time", 1000)),
    Mutant("SBRM pointer 0", "BOOT-ABRM-012", register("SBRM_Address", 0)),
    Mutant(
        "manifest inside the XML file",
        "BOOT-ABRM-013",
        register("Manifest_Table_Address", boot.XML_ADDRESS + 64),
    ),
    Mutant(
        "0 latches",
        "BOOT-ABRM-018",
        rewriting(
            lambda p: (
                p[:-4] + b"\1\0\0\0" if p[6:8] == b"\x02\x08" and p[12:20] == struct.pack("<Q", 0x1F8) else p
            )
        ),
    ),
    Mutant("increment 0", "BOOT-ABRM-019", register("Timestamp_Increment", 0)),
    Mutant("name not stored", "BOOT-ABRM-022", stays(0x184, 64)),
    Mutant("serial changes", "BOOT-ABRM-025", drifts("Serial_Number")),
    Mutant("U3V version 0", "BOOT-SBRM-001", register("U3V_Version", 0)),
    Mutant("U3VCP bit 5 set", "BOOT-SBRM-002", register("U3VCP_Capability", 0x23)),
    Mutant("U3VCP bit 0 clear", "BOOT-SBRM-003", register("U3VCP_Capability", 2)),
    Mutant("EIRM bit clear with an interface", "BOOT-SBRM-004", register("U3VCP_Capability", 1)),
    Mutant("IIDC2 pointer dangling", "BOOT-SBRM-006", register("IIDC2_Address", 0x1234)),
    Mutant("command length 24", "BOOT-SBRM-008", register("Maximum_Command_Transfer_Length", 24)),
    Mutant("ack length 16", "BOOT-SBRM-009", register("Maximum_Acknowledge_Transfer_Length", 16)),
    Mutant("2 channels with one", "BOOT-SBRM-010", register("Number_of_Stream_Channels", 2)),
    Mutant("SIRM_Length 0", "BOOT-SBRM-011", register("SIRM_Length", 0)),
    Mutant("speed always HS", "BOOT-SBRM-012", register("Current_Speed", 4)),
    Mutant("SBRM changes", "BOOT-SBRM-014", drifts("U3V_Version")),
    Mutant("exponent in bits 0..7", "BOOT-SIRM-001", register("SI_Info", 2)),
    Mutant("alignment 64 KiB", "BOOT-SIRM-002", register("SI_Info", 16 << 24)),
    Mutant("SI_Control 1 at open", "BOOT-SIRM-003", register("SI_Control", 1)),
    Mutant("RP + 48", "BOOT-SIRM-004", register("SI_Required_Payload_Size", 4096 * 2168 + 48)),
    Mutant("leader size 0", "BOOT-SIRM-006", register("SI_Required_Leader_Size", 0)),
    Mutant("trailer size 0", "BOOT-SIRM-007", register("SI_Required_Trailer_Size", 0)),
    Mutant("SI registers read back 0", "BOOT-SIRM-008", register("SI_Payload_Transfer_Count", 0)),
    Mutant("SIRM refused", "BOOT-SIRM-009", read_error(SIRM + 0x28, 4, 0x8006)),
    Mutant("EI_Control 1 at open", "BOOT-EIRM-001", register("EI_Control", 1)),
    Mutant("event length 12", "BOOT-EIRM-002", register("Maximum_Event_Transfer_Length", 12)),
    Mutant("EI_Control reads back 0", "BOOT-EIRM-003", register("EI_Control", 0)),
    Mutant("manifest count 0", "BOOT-MAN-001", overlay({MANIFEST: bytes(8)})),
    Mutant("entry 0 of type 1", "BOOT-MAN-002", overlay({ENTRY + 4: b"\x01"})),
    Mutant("entry of type 2", "BOOT-MAN-003", overlay({ENTRY + 4: b"\x02"})),
    Mutant("reserved bytes used", "BOOT-MAN-004", overlay({ENTRY + 60: b"\x01"})),
    Mutant("size 32 MiB", "BOOT-MAN-005", overlay({ENTRY + 16: struct.pack("<Q", 32 << 20)})),
    Mutant("SHA-1 wrong", "BOOT-MAN-006", overlay({ENTRY + 24: b"\x01\x02\x03"})),
    Mutant("entry says schema 1.0", "BOOT-MAN-008", overlay({ENTRY + 6: b"\x00"})),
    Mutant("heartbeat bit sticks", "BOOT-ABRM-014", keeps(CONFIGURATION, 8)),
    Mutant(
        "heartbeat offered",
        "BOOT-ABRM-015",
        several(register("Device_Capability", 0xB0F), overlay({0x1E8: struct.pack("<I", 3000)})),
    ),
    Mutant("increment of a frame counter", "BOOT-ABRM-020", register("Timestamp_Increment", 125_000)),
    Mutant("name lost without power", "BOOT-ABRM-023 ROB-026", name_lost),
    Mutant(
        "implementation is big-endian",
        "BOOT-ABRM-024",
        several(register("Device_Capability", 0xF0D), overlay({ENDIANNESS: bytes(4)})),
    ),
    Mutant("message channel bit without events", "BOOT-SBRM-005", register("Device_Capability", 0xB09)),
    Mutant("U3VCP_Configuration refuses reads", "BOOT-SBRM-007", read_error(SBRM + 0x0C, 8, 0x8006)),
    Mutant("speed always SS", "BOOT-SBRM-013", register("Current_Speed", 8)),
    Mutant("required payload cached", "BOOT-SIRM-005", register("SI_Required_Payload_Size", 4096 * 2168)),
    Mutant("required payload moves while streaming", "BOOT-SIRM-010", payload_moves),
    Mutant("test bit sticks", "BOOT-EIRM-004", overlay({EIRM + 8: b"\1\0\0\0"})),
    Mutant("second entry of the same version", "BOOT-MAN-011", second_entry),
    Mutant("a clock finer than its increment", "BOOT-ABRM-016", register("Timestamp_Increment", 129)),
    Mutant("a message channel at open", "BOOT-ABRM-014", overlay({0x1EE: b"\1"})),
    Mutant(
        "a reserved register of the SIRM holds something",
        "BOOT-SIRM-003",
        several(register("SIRM_Length", 0x40), overlay({SIRM + 0x34: b"\0\0\1\0"})),
    ),
    Mutant("events longer than their headers can tell", "BOOT-EIRM-002", overlay({EIRM + 6: b"\1"})),
]
