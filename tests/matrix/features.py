"""Mutants of nodes against their registers, of the sweep over features, and of what the naming convention asks."""

import re
import struct
from dataclasses import replace
from typing import Any

from gadget.faults.registers import find_register
from gadget.runner import BuiltCamera
from tests.matrix.gencp import answered
from tests.matrix.rig import Mutant, Spoil, about, ack_bytes, register, several, xml, xml_text_changed
from tests.matrix.seams import (
    feature_ignored,
    integer,
    lie,
    line,
    method,
    more_nodes,
    node,
    numbers,
    on_write,
    real,
    taken,
)
from tests.matrix.xml import of
from u3v.wire import gencp
from u3v.wire.pfnc import PIXEL_FORMATS
from u3v.wire.usb import Speed

REQUIRED_PAYLOAD = "SI_Required_Payload_Size"
LOCKED, BAD = 0x8006, 0x8002


def nothing(built: BuiltCamera) -> None:
    """What is wrong is a setting."""


def still_cached(name: str) -> Spoil:
    """Hosts may keep the value of a register for ever."""
    return node(
        name,
        lambda text: line("<pInvalidator>")(text).replace("<Cachable>NoCache<", "<Cachable>WriteThrough<"),
    )


MASKED = """  <MaskedIntReg Name="Masked" NameSpace="Custom">
    <Address>0x200000</Address>
    <Length>4</Length>
    <AccessMode>RO</AccessMode>
    <pPort>Device</pPort>
    <LSB>7</LSB>
    <MSB>0</MSB>
    <Endianess>LittleEndian</Endianess>
  </MaskedIntReg>
"""
LABEL = """  <String Name="UserText" NameSpace="Custom">
    <ToolTip>A text of the user's.</ToolTip>
    <pValue>DeviceUserID_Reg</pValue>
  </String>
"""


def payload(change):  # type: ignore[no-untyped-def]
    """PayloadSize and SI_Required_Payload_Size are `change(bytes, built)`."""

    def changed(raw: bytes, built: BuiltCamera) -> bytes:
        return int(change(integer(raw), built)).to_bytes(len(raw), "little")

    return several(lie(REQUIRED_PAYLOAD, changed), lie("PayloadSize", changed))


def lines_of_words(size: int, built: BuiltCamera) -> int:
    """Packed formats have lines of whole 32-bit words."""
    now = built.camera.settings
    bits = PIXEL_FORMATS[now.pixel_format].bits_per_pixel
    return now.height * (-(-now.width * bits // 32) * 4) if bits % 8 else size


def needs_a_read(built: BuiltCamera) -> None:
    """Every write of OffsetX needs a read of something since the last write."""
    at, size = find_register("OffsetX", built.camera)
    last = [0]

    def status(command: gencp.Command | None, packet: bytes) -> int | None:
        kind, first, _ = about(command)
        before, last[0] = last[0], kind
        return LOCKED if kind == gencp.WRITEMEM_CMD == before and at <= first < at + size else None

    answered(status)(built)


def while_acquiring(status: int):  # type: ignore[no-untyped-def]
    return lambda raw, built: status if built.camera.acquisition.active else None


def stays_locked(built: BuiltCamera) -> None:
    """Once frames were taken, Width is locked for good."""
    been: list[bool] = []

    def begun(start, built):  # type: ignore[no-untyped-def]
        return lambda now_ns: (been.append(True), start(now_ns))

    method(lambda b: b.camera.acquisition, "start", begun)(built)
    on_write("Width", lambda raw, b: LOCKED if been else None)(built)


def without_gain(store, built):  # type: ignore[no-untyped-def]
    return lambda key, values: store(key, {k: v for k, v in values.items() if k != "Gain"})


def without_startup(store, built):  # type: ignore[no-untyped-def]
    return lambda key, values: None if key == "UserSetDefault" else store(key, values)


def exposed(**settings: Any) -> Spoil:
    """Frames are exposed with these settings, whatever the features say."""

    def make(exposure, built):  # type: ignore[no-untyped-def]
        def made(*given: Any) -> Any:
            true = exposure(*given)
            return replace(true, settings=replace(true.settings, **settings))

        return made

    return method(lambda b: b.camera, "exposure", make)


def swapped(name: str, one: str, other: str) -> Spoil:
    """Two entries of an Enumeration have each other's values."""
    names = {one: other, other: one}
    return node(
        name,
        lambda text: re.sub(
            rf'(EnumEntry Name=")({one}|{other})"', lambda found: f'{found[1]}{names[found[2]]}"', text
        ),
    )


def hidden_but_taken(built: BuiltCamera) -> None:
    """Whatever is not available now takes writes all the same."""
    for name, feature in built.camera.features.declared.items():
        if feature.available is not None:
            taken(name)(built)


def drifting(name: str) -> Spoil:
    count = numbers()
    return lie(name, real(lambda value: value + next(count) * 0.01))


def never_back(built: BuiltCamera) -> None:
    built.port.on_return = lambda now_ns: None


def as_float(text: str) -> str:
    return re.sub(r"(</?)Integer", r"\1Float", line("<Inc>")(text))


def other_entry(old: str, new: str) -> Spoil:
    return xml(f'<EnumEntry Name="{old}"', f'<EnumEntry Name="{new}"')


MUTANTS = [
    Mutant("the last byte cut off", "XML-001", xml_text_changed(lambda text: text.rstrip()[:-1])),
    Mutant("a feature in no category", "XML-012", xml("    <pFeature>Gain</pFeature>\n", "")),
    Mutant(
        "pValueCopy used",
        "XML-008",
        node(
            "Gain", line("<pValue>", "    <pValue>Gain_Reg</pValue>\n    <pValueCopy>Gain_Reg</pValueCopy>\n")
        ),
    ),
    Mutant("LSB and MSB swapped", "XML-016", more_nodes(MASKED)),
    Mutant("a bootstrap node off by 4", "XML-017", xml("<Address>0x44</Address>", "<Address>0x48</Address>")),
    Mutant("a RO node takes writes", "XML-020", of("SensorWidth", 0)),
    Mutant(
        "old text behind the end of a text",
        "XML-021",
        register("DeviceFirmwareVersion", b"1.0\0rest".ljust(128, b"\0")),
    ),
    Mutant(
        "a text longer than its register",
        "XML-021",
        node("DeviceFirmwareVersion_Reg", lambda text: text.replace(">128<", ">4096<")),
    ),
    Mutant("a command's bit never clears", "XML-026", register("TriggerSoftware", 1)),
    Mutant("pInvalidator missing", "XML-027 XML-028", still_cached("PayloadSize_Reg")),
    Mutant("a volatile node cachable", "XML-028", still_cached("SensorReadoutTime_Reg")),
    Mutant("selector without effect", "XML-030", node("TriggerDelay_Reg", line("<pIndex"))),
    Mutant(
        "selector's index off by one",
        "XML-030",
        node("TriggerDelay_Reg", lambda text: text.replace("0x202288", "0x202290")),
    ),
    Mutant(
        "pInvalidator UserSetLoad missing",
        "SFNC-015",
        node("AcquisitionFrameCount_Reg", line("<pInvalidator>UserSetLoad<")),
    ),
    Mutant("an entry lost", "FEAT-008", node("TestImageSelector", line('Name="Testimage3"'))),
    Mutant("a pixel format lost", "FEAT-008", node("PixelFormat", line('Name="Mono12p"'))),
    Mutant(
        "ImposedAccessMode missing", "XML-033", node("DeviceSFNCVersionMinor", line("<ImposedAccessMode>"))
    ),
    Mutant("pIsLocked missing on ReverseX", "FEAT-018", node("ReverseX", line("<pIsLocked>"))),
    Mutant("pSelected missing", "XML-030 XML-033", xml("    <pSelected>TriggerDelay</pSelected>\n", "")),
    Mutant(
        "pSelected missing, of no standard feature",
        "XML-030",
        xml("    <pSelected>LineDebouncerTime</pSelected>\n", ""),
    ),
    Mutant(
        "a temperature may be cached",
        "XML-028",
        node("DeviceTemperature_Reg", lambda text: text.replace(">NoCache<", ">WriteThrough<")),
    ),
    Mutant(
        "OnValue and OffValue swapped",
        "XML-033",
        node(
            "ReverseX",
            lambda t: t.replace("<OnValue>1<", "<OnValue>0<").replace("<OffValue>0<", "<OffValue>1<"),
        ),
    ),
    Mutant("EventID with 0x", "XML-031", xml("<EventID>9001<", "<EventID>0x9001<")),
    Mutant("two events with one id", "XML-031", xml("<EventID>9002<", "<EventID>9001<")),
    Mutant(
        "ExposureTime as Integer",
        "XML-033",
        node("ExposureTime", lambda text: re.sub(r"(</?)Float", r"\1Integer", text)),
    ),
    Mutant("Visibility Novice", "XML-035", node("Gain", lambda text: text.replace("Beginner", "Novice"))),
    Mutant(
        "increment 2 needed, 1 told",
        "FEAT-002",
        on_write("AcquisitionFrameCount", lambda raw, b: None if raw[0] & 1 else BAD),
    ),
    Mutant(
        "an entry does nothing",
        "FEAT-007",
        on_write("TestImageSelector", lambda raw, b: 0 if raw[0] == 2 else None),
    ),
    Mutant(
        "empty text refused",
        "FEAT-010",
        several(
            more_nodes(LABEL, "UserText"),
            on_write("User_Defined_Name", lambda raw, b: None if any(raw) else BAD),
        ),
        also="GENCP-WR-009",
    ),
    Mutant(
        "offset limit static",
        "FEAT-011",
        node("OffsetX", lambda text: text.replace("<pMax>OffsetX_Max</pMax>", "<Max>4096</Max>")),
    ),
    Mutant("write needs a read first", "FEAT-012", needs_a_read),
    Mutant("WidthMax stale", "FEAT-013", register("WidthMax", 4096)),
    Mutant(
        "payload changes with ReverseX",
        "FEAT-014",
        payload(lambda size, built: size + bool(built.camera.features.get("ReverseX"))),
    ),
    Mutant("packed formats rounded per line", "FEAT-015", payload(lines_of_words)),
    Mutant(
        "a Float goes further than told", "FEAT-003", xml("<Max>10000000.0</Max>", "<Max>1000000.0</Max>")
    ),
    Mutant(
        "pIsAvailable missing",
        "FEAT-016",
        node("DeviceLinkThroughputLimit", line("<pIsAvailable>")),
    ),
    Mutant("pIsAvailable of a command missing", "FEAT-016", node("SequencerSetSave", line("<pIsAvailable>"))),
    Mutant("hidden features writable", "FEAT-016", hidden_but_taken),
    Mutant("Width changes in mid-stream", "FEAT-017", taken("Width")),
    Mutant(
        "lock answers 8002",
        "FEAT-018",
        ack_bytes(
            lambda data, c: data.__setitem__(slice(4, 6), b"\x02\x80"),
            lambda ack, c: ack[4:8] == b"\x06\x80\x03\x08",
        ),
    ),
    Mutant("exposure locked while streaming", "FEAT-019", on_write("ExposureTime", while_acquiring(LOCKED))),
    Mutant(
        "ExposureAuto's Off and Continuous swapped", "FEAT-019", swapped("ExposureAuto", "Off", "Continuous")
    ),
    Mutant("GainAuto's Off and Once swapped", "FEAT-019", swapped("GainAuto", "Off", "Once")),
    Mutant("a test image is another", "STREAM-025", swapped("TestImageSelector", "Testimage2", "Testimage3")),
    Mutant(
        "a test image that is mirrored is not",
        "STREAM-025",
        swapped("TestImageSelector", "Testimage2", "Testimage4"),
    ),
    Mutant("PixelSize's entries swapped", "FEAT-015", swapped("PixelSize", "Bpp10", "Bpp12")),
    Mutant(
        "LineSource's entries swapped",
        "FEAT-019",
        swapped("LineSource", "FrameTriggerWait", "ExposureActive"),
    ),
    Mutant(
        "TriggerActivation's edges swapped",
        "TRG-002",
        swapped("TriggerActivation", "RisingEdge", "FallingEdge"),
    ),
    Mutant(
        "TriggerActivation's levels swapped", "TRG-002", swapped("TriggerActivation", "LevelHigh", "LevelLow")
    ),
    Mutant("FileOperationExecute does nothing", "FEAT-019", feature_ignored("FileOperationExecute")),
    Mutant(
        "FileOperationSelector's entries swapped",
        "FEAT-019",
        swapped("FileOperationSelector", "Open", "Close"),
    ),
    Mutant(
        "a value at another's place",
        "XML-017",
        node("Gain_Reg", lambda text: text.replace("0x200100", "0x200110")),
        also="XML-030",
    ),
    Mutant(
        "a value that is another's",
        "XML-017",
        node("BlackLevel", lambda text: text.replace(">BlackLevel_Reg<", ">Gain_Reg<")),
        also="XML-030",
    ),
    Mutant("Sum and Average swapped", "STREAM-023", swapped("BinningVerticalMode", "Sum", "Average")),
    Mutant("CounterReset does nothing", "FEAT-019", feature_ignored("CounterReset")),
    Mutant(
        "CounterEventSource's entries swapped", "FEAT-019", swapped("CounterEventSource", "FrameStart", "Off")
    ),
    Mutant("SequencerSetSave does nothing", "FEAT-019", feature_ignored("SequencerSetSave")),
    Mutant("SequencerSetLoad does nothing", "FEAT-019", feature_ignored("SequencerSetLoad")),
    Mutant("SoftwareSignalPulse does nothing", "TRG-002", feature_ignored("SoftwareSignalPulse")),
    Mutant("Gain without effect", "FEAT-019", exposed(gain_db=0.0)),
    Mutant("BlackLevel without effect", "FEAT-019", exposed(black_level_dn12=0.0)),
    Mutant("ReverseX without effect", "STREAM-023", exposed(reverse_x=False)),
    Mutant("ReverseY without effect", "STREAM-023", exposed(reverse_y=False)),
    Mutant("lock stays", "FEAT-020", stays_locked),
    Mutant("save forgets Gain", "FEAT-021", method(lambda b: b.camera, "store_user_set", without_gain)),
    Mutant("startup set ignored", "FEAT-022", method(lambda b: b.camera, "store_user_set", without_startup)),
    Mutant("exposure without effect", "FEAT-024", exposed(exposure_us=1000.0)),
    Mutant(
        "one combination is refused",
        "FEAT-025",
        on_write(
            "Height", lambda raw, b: BAD if b.camera.features.get("AcquisitionFrameRateEnable") else None
        ),
    ),
    Mutant("a feature drifts by itself", "FEAT-026", drifting("BlackLevel")),
    Mutant(
        "TLParamsLocked is a register",
        "SFNC-001",
        node(
            "TLParamsLocked", lambda text: text.replace("<Value>0</Value>", "<pValue>Width_Locked</pValue>")
        ),
    ),
    Mutant("PayloadSize a Float", "SFNC-003 XML-033", node("PayloadSize", as_float)),
    Mutant("SensorWidth 0", "SFNC-004", register("SensorWidth", 0)),
    Mutant("SFNC version 0", "SFNC-006", node("DeviceSFNCVersionMajor", lambda t: t.replace(">2<", ">0<"))),
    Mutant("DeviceTLType GigEVision", "SFNC-007", other_entry("USB3Vision", "GigEVision")),
    Mutant("625 MB/s at High-Speed", "SFNC-008", register("DeviceLinkSpeed", 625_000_000), speed=Speed.HIGH),
    Mutant("limit above the link", "SFNC-009", register("DeviceLinkThroughputLimit", 10**9)),
    Mutant("ExposureTime in ms", "SFNC-010", node("ExposureTime", lambda t: t.replace(">us<", ">ms<"))),
    Mutant("rate as period", "SFNC-011", node("ResultingFrameRate", lambda t: t.replace(">Hz<", ">us<"))),
    Mutant("starts triggered", "SFNC-012", nothing, settings={"TriggerMode": "On"}),
    Mutant(
        "the latch of another clock",
        "SFNC-013",
        lie("TimestampLatchValue", lambda raw, b: struct.pack("<Q", integer(raw) + 10**12)),
    ),
    Mutant("Default cannot be loaded", "SFNC-015", of("UserSetLoad", LOCKED)),
    Mutant("an event without nodes", "SFNC-016", xml("EventTest", "EventExam", -1)),
    Mutant(
        "PayloadSize without chunks",
        "SFNC-017",
        lie("PayloadSize", lambda raw, b: struct.pack("<Q", b.camera.settings.image_bytes)),
    ),
    Mutant(
        "TestPendingAck without effect", "SFNC-018", feature_ignored("TestPendingAck"), also="GENCP-PND-001"
    ),
    Mutant("does not come back after DeviceReset", "SFNC-020", never_back),
]
