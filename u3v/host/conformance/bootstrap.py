"""The bootstrap registers as the standards have them: place, size, access. For checks that go through all of them.

ABRM: GenCP 1.3 clause 5.4 and table 19; SBRM, SIRM, EIRM: USB3 Vision 1.0. Typed in here from the standards: the
camera has its own table.
"""

from u3v.host.conformance.context import Context

Register = tuple[str, int, int]
"""Name, address (or offset), bytes."""

ABRM_STATIC: tuple[Register, ...] = (
    ("GenCP_Version", 0x000, 4),
    ("Manufacturer_Name", 0x004, 64),
    ("Model_Name", 0x044, 64),
    ("Device_Version", 0x0C4, 64),
    ("Manufacturer_Info", 0x104, 64),
    ("Serial_Number", 0x144, 64),
    ("Device_Capability", 0x1C4, 8),
    ("Maximum_Device_Response_Time", 0x1CC, 4),
    ("Manifest_Table_Address", 0x1D0, 8),
    ("SBRM_Address", 0x1D8, 8),
)
CONDITIONAL: tuple[tuple[str, int, int, int], ...] = (
    ("Family_Name", 0x084, 64, 8),
    ("User_Defined_Name", 0x184, 64, 0),
    ("Heartbeat_Timeout", 0x1E8, 4, 1),
    ("Message_Channel_ID", 0x1EC, 4, 2),
    ("Timestamp", 0x1F0, 8, 3),
    ("Timestamp_Increment", 0x1FC, 8, 3),
    ("Access_Privilege", 0x204, 4, 1),
    ("Implementation_Endianness", 0x20C, 4, 10),
    ("Device_Software_Interface_Version", 0x210, 64, 14),
)
"""Name, address, bytes, bit of Device_Capability without which it is not there (GenCP 1.3 clause 5.3)."""
CONDITIONAL_READ_ONLY = (
    "Family_Name", "Timestamp", "Timestamp_Increment", "Implementation_Endianness", "Device_Software_Interface_Version",
)  # fmt: skip
SBRM: tuple[Register, ...] = (
    ("U3V_Version", 0x00, 4),
    ("U3VCP_Capability", 0x04, 8),
    ("Maximum_Command_Transfer_Length", 0x14, 4),
    ("Maximum_Acknowledge_Transfer_Length", 0x18, 4),
    ("Number_of_Stream_Channels", 0x1C, 4),
    ("SIRM_Address", 0x20, 8),
    ("SIRM_Length", 0x28, 4),
    ("EIRM_Address", 0x2C, 8),
    ("EIRM_Length", 0x34, 4),
    ("IIDC2_Address", 0x38, 8),
    ("Current_Speed", 0x40, 4),
)
SBRM_GATES = {"SIRM": 0, "EIRM": 1, "IIDC": 2}
"""Bit of U3VCP_Capability that a register (by the beginning of its name) needs."""
SIRM_READ_ONLY: tuple[Register, ...] = (
    ("SI_Info", 0x00, 4),
    ("SI_Required_Payload_Size", 0x08, 8),
    ("SI_Required_Leader_Size", 0x10, 4),
    ("SI_Required_Trailer_Size", 0x14, 4),
)
SIRM_READ_WRITE: tuple[Register, ...] = (
    ("SI_Control", 0x04, 4),
    ("SI_Maximum_Leader_Size", 0x18, 4),
    ("SI_Payload_Transfer_Size", 0x1C, 4),
    ("SI_Payload_Transfer_Count", 0x20, 4),
    ("SI_Payload_Final_Transfer1_Size", 0x24, 4),
    ("SI_Payload_Final_Transfer2_Size", 0x28, 4),
    ("SI_Maximum_Trailer_Size", 0x2C, 4),
)
EIRM_MAX_LENGTH: Register = ("Maximum_Event_Transfer_Length", 0x04, 4)


def version(raw: bytes) -> tuple[int, int]:
    """(major, minor): two 16-bit halves, little-endian."""
    return int.from_bytes(raw[2:4], "little"), int.from_bytes(raw[:2], "little")


def has(c: Context, bit: int) -> bool:
    """Whether Device_Capability has a bit."""
    return bool(c.capability >> bit & 1)


def sbrm(c: Context) -> list[Register]:
    """The SBRM's registers of this camera, with their addresses."""
    gated = [(r, SBRM_GATES.get(r[0][:4])) for r in SBRM]
    return [(n, c.sbrm + at, size) for (n, at, size), bit in gated if bit is None or c.u3vcp >> bit & 1]


def abrm_read_only(c: Context) -> list[Register]:
    more = [(n, at, size) for n, at, size, bit in CONDITIONAL if n in CONDITIONAL_READ_ONLY and has(c, bit)]
    return [*ABRM_STATIC, *more]


def read_only(c: Context) -> list[Register]:
    """All read-only bootstrap registers of this camera."""
    found = [*abrm_read_only(c), *sbrm(c)]
    if c.u3vcp & 1:
        found += [(name, c.sirm + at, size) for name, at, size in SIRM_READ_ONLY]
    if c.u3vcp & 2:
        name, at, size = EIRM_MAX_LENGTH
        found.append((name, c.eirm + at, size))
    return found


def read_write(c: Context) -> list[Register]:
    """All writable bootstrap registers of this camera, but those that act when written."""
    found: list[Register] = [("Device_Configuration", 0x1E0, 8), ("U3VCP_Configuration", c.sbrm + 0x0C, 8)]
    found += [(n, at, size) for n, at, size, bit in CONDITIONAL if n == "User_Defined_Name" and has(c, bit)]
    if c.u3vcp & 1:
        found += [(name, c.sirm + at, size) for name, at, size in SIRM_READ_WRITE]
    if c.u3vcp & 2:
        found.append(("EI_Control", c.eirm, 4))
    return found
