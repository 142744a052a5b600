"""Mutants of the GenICam file, of features and of what registers hold."""

import math
import struct

from gadget.runner import BuiltCamera
from tests.matrix.gencp import answered, is_write_to, read_error
from tests.matrix.rig import Mutant, Spoil, about, register, rewriting, several, xml
from u3v.wire import gencp
from u3v.wire.pfnc import PIXEL_FORMATS

CODES = {form.code for form in PIXEL_FORMATS.values()}


def of(name: str, status: int) -> Spoil:
    """Writes of a feature get this status; 0: acknowledged, without effect."""

    def spoil(built: BuiltCamera) -> None:
        at, size = built.camera.features.address[name], built.camera.features.declared[name].size
        answered(lambda c, p: status if is_write_to(at, size)(c) else None)(built)

    return spoil


def stored(name: str, wrong) -> Spoil:  # type: ignore[no-untyped-def]
    """A feature takes values that it should refuse: writes of `wrong(value bytes)` are acknowledged and read back."""

    def spoil(built: BuiltCamera) -> None:
        at, size = built.camera.features.address[name], built.camera.features.declared[name].size
        kept: list[bytes] = []

        def mine(command: gencp.Command | None, packet: bytes) -> bytes | None:
            kind, first, length = about(command)
            assert command is not None or not kind
            if command is None or first != at or length != size:
                return None
            if kind == gencp.WRITEMEM_CMD:
                kept.clear()
                value = bytes(command.scd[8:])
                if wrong(value):
                    kept.append(value)
                    return gencp.pack_write_ack(command.request_id, size)
            elif kind == gencp.READMEM_CMD and kept:
                return gencp.pack_ack(0, gencp.READMEM_ACK, command.request_id, kept[0])
            return None

        from tests.matrix.rig import refusing

        refusing(mine)(built)

    return spoil


def number(raw: bytes) -> float:
    return float(struct.unpack("<d", raw)[0])


def integer(raw: bytes) -> int:
    return int.from_bytes(raw, "little", signed=True)


def swapped_write(name: str, other: str) -> Spoil:
    """Writes of one feature go to another."""

    def spoil(built: BuiltCamera) -> None:
        at, to = (struct.pack("<Q", built.camera.features.address[n]) for n in (name, other))
        rewriting(lambda p: p[:12] + to + p[20:] if p[6:8] == b"\x02\x08" and p[12:20] == at else p)(built)

    return spoil


MUTANTS = [
    Mutant("the last tag cut off", "XML-001", xml("</RegisterDescription>", "")),
    Mutant("VersionGuid missing", "XML-002", xml("  VersionGuid=", "  OtherGuid=")),
    Mutant('GUID "0"', "XML-003", xml('ProductGuid="89BF', 'ProductGuid="XYZ')),
    Mutant("Version_1_0 with 1.1", "XML-004", xml("Version_1_1", "Version_1_0", 3)),
    Mutant("schema 1.0", "XML-005", several(xml('SchemaMinorVersion="1"', 'SchemaMinorVersion="0"'))),
    Mutant(
        "element order",
        "XML-006",
        xml(
            "<Visibility>Beginner</Visibility>\n    <pIsLocked>Width_IsLocked</pIsLocked>",
            "<pIsLocked>Width_IsLocked</pIsLocked>\n    <Visibility>Beginner</Visibility>",
        ),
    ),
    Mutant(
        "dangling pValue", "XML-007 XML-010", xml("<pValue>Width_Reg</pValue>", "<pValue>Nowhere</pValue>")
    ),
    Mutant("two nodes Gain", "XML-009", xml('<Boolean Name="ReverseX"', '<Boolean Name="Gain"')),
    Mutant("pMax to nowhere", "XML-010", xml("<pMax>Width_Max</pMax>", "<pMax>Nowhere</pMax>")),
    Mutant("pValue cycle", "XML-011", xml("<pValue>Width_Reg</pValue>", "<pValue>Width</pValue>")),
    Mutant("Root missing", "XML-012", xml('<Category Name="Root"', '<Category Name="Trunk"')),
    Mutant("port called Camera", "XML-013", several(xml('<Port Name="Device"', '<Port Name="Camera"'))),
    Mutant(
        "Length missing",
        "XML-014",
        xml("    <Length>4</Length>\n", ""),
    ),
    Mutant("one BigEndian register", "XML-015", xml("<Endianess>LittleEndian<", "<Endianess>BigEndian<")),
    Mutant(
        "an advertised register refuses reads",
        "XML-018",
        lambda built: read_error(built.camera.features.address["Gain"], 8, 0x8003)(built),
    ),
    Mutant("a RW node is read-only", "XML-019", of("Gain", 0x8004)),
    Mutant("register holds an undefined value", "XML-022", register("PixelFormat", 0x12345)),
    Mutant("value off the grid", "XML-023", register("Width", 4095)),
    Mutant("NaN", "XML-024", register("Gain", struct.pack("<d", math.nan))),
    Mutant("a Boolean's register holds 0xFF", "XML-025", register("ReverseX", 0xFF)),
    Mutant(
        "division by zero",
        "XML-034",
        xml("<Formula>(TL &lt;&gt; 0) || (DEVICE &lt;&gt; 0)</Formula>", "<Formula>1 / (TL - TL)</Formula>"),
    ),
    Mutant(
        "pIsLocked missing on PixelFormat", "XML-029", xml("<pIsLocked>PixelFormat_IsLocked</pIsLocked>", "")
    ),
    Mutant("name space GEV", "XML-032", xml('StandardNameSpace="USB"', 'StandardNameSpace="GEV"')),
    Mutant("PayloadSize missing", "SFNC-003", xml("PayloadSize", "PayloadBytes", -1)),
    Mutant(
        "AcquisitionStop missing",
        "SFNC-002",
        xml("AcquisitionStop", "AcquisitionHalt", -1),
    ),
    Mutant(
        "TLParamsLocked missing",
        "SFNC-001",
        xml("TLParamsLocked", "TLParameters", -1),
    ),
    Mutant("model name differs", "SFNC-005", xml("<Address>0x44</Address>", "<Address>0x4</Address>", -1)),
    Mutant("Mono8 = 0x01080002", "SFNC-014", xml("<Value>17301505</Value>", "<Value>17301506</Value>")),
    Mutant(
        "max refused",
        "FEAT-001",
        lambda built: answered(
            lambda c, p: (
                0x8002
                if is_write_to(built.camera.features.address["Height"], 4)(c)
                and c is not None
                and integer(bytes(c.scd[8:12])) > 1000
                else None
            )
        )(built),
    ),
    Mutant("beyond max stored", "FEAT-003", stored("Height", lambda raw: integer(raw) > 2168)),
    Mutant("Width 41 stored", "FEAT-004", stored("Width", lambda raw: integer(raw) % 4)),
    Mutant(
        "exposure max refused",
        "FEAT-005",
        lambda built: answered(
            lambda c, p: (
                0x8002
                if is_write_to(built.camera.features.address["ExposureTime"], 8)(c)
                and c is not None
                and number(bytes(c.scd[8:16])) > 1e6
                else None
            )
        )(built),
    ),
    Mutant("NaN stored", "FEAT-006", stored("Gain", lambda raw: math.isnan(number(raw)))),
    Mutant(
        "undefined entry stored",
        "FEAT-008",
        stored("PixelFormat", lambda raw: integer(raw) not in CODES),
    ),
    Mutant("a Boolean stores 2", "FEAT-009", stored("ReverseX", lambda raw: integer(raw) == 2)),
    Mutant("second write overwrites the first", "FEAT-023", swapped_write("Gain", "BlackLevel")),
]
