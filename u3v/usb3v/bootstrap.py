"""The bootstrap registers of USB3 Vision (ABRM, SBRM, SIRM, EIRM, manifest) and what writing them does.

State: the registers' bytes, in the camera's memory. Always true: SI_Control and EI_Control read as 1 exactly while
their channel is on. GenCP makes some registers conditional on a capability bit. This camera lacks those for
heartbeat, access privilege and endianness, and without events that of the message channel: the bits are 0, and a
host that asks for one of the registers gets INVALID_ADDRESS, as where there is nothing.
"""

import hashlib
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from u3v import sfnc
from u3v.camera import USER_ID, Camera
from u3v.errors import GenCPError, Status
from u3v.family import TEST_EVENT_ID
from u3v.genapi import FILE_VERSION, build_xml, shared_file, zip_xml
from u3v.memory import Check, Hook, Refresh, Register
from u3v.model import Model
from u3v.notifications import event_data
from u3v.usb3v.control import MAX_TRANSFER_BYTES
from u3v.usb3v.event import MAX_TRANSFER_BYTES as MAX_EVENT_BYTES
from u3v.usb3v.event import EventChannel
from u3v.usb3v.stream import StreamChannel
from u3v.wire import bootstrap as boot
from u3v.wire.stream import CHUNK_TRAILER_BYTES, LEADER_BYTES, TRAILER_BYTES, TransferPlan
from u3v.wire.usb import EVENT_IN, STREAM_IN, Speed
from u3v.wire_traits import WireTraits

_IDENTITY = {
    "DeviceVendorName": "Manufacturer_Name",
    "DeviceModelName": "Model_Name",
    "DeviceFamilyName": "Family_Name",
    "DeviceManufacturerInfo": "Manufacturer_Info",
    "DeviceVersion": "Device_Version",
    "DeviceSerialNumber": "Serial_Number",
    "DeviceID": "Serial_Number",
    USER_ID: "User_Defined_Name",
}
USB3_VISION = WireTraits(
    tl_type=("USB3Vision", 3),
    name_space="USB",
    features_address=boot.FEATURES_ADDRESS,
    identity={name: (boot.ABRM[key].offset, boot.ABRM[key].size) for name, key in _IDENTITY.items()},
    versions={"TL": (1, 0), "GenCP": (1, 1)},
)
"""A camera that is served over USB3 Vision."""

_ABSENT = (
    "Heartbeat_Timeout",
    "Access_Privilege",
    "Implementation_Endianness",
    "Device_Software_Interface_Version",
)
_SI_SIZES = (
    "SI_Maximum_Leader_Size",
    "SI_Payload_Transfer_Size",
    "SI_Payload_Final_Transfer1_Size",
    "SI_Payload_Final_Transfer2_Size",
    "SI_Maximum_Trailer_Size",
)
_SI_PLAN = (
    "SI_Payload_Transfer_Size",
    "SI_Payload_Transfer_Count",
    "SI_Payload_Final_Transfer1_Size",
    "SI_Payload_Final_Transfer2_Size",
)


@dataclass(frozen=True, slots=True)
class WireOptions:
    """How one camera's USB3 Vision face deviates from the usual.

    `strict`: SI registers refuse what the standard calls wrong (A003, A004, no writes while streaming).
    `required_leader_bytes`, `required_trailer_bytes`: what SIRM asks for (1024 as Basler; never less than needed).
    `alignment_exponent`: transfer sizes must be multiples of 2**n bytes (SI_Info).
    `response_time_ms`: Maximum_Device_Response_Time, at most 300 (GenCP 1.3.1, clause 5.4.10).
    `zipped_xml`: deliver the XML zipped. `transfer_bytes`: the longest command and acknowledge, header included.
    """

    strict: bool = False
    required_leader_bytes: int = 1024
    required_trailer_bytes: int = 1024
    alignment_exponent: int = 2
    response_time_ms: int = 300
    zipped_xml: bool = True
    transfer_bytes: int = MAX_TRANSFER_BYTES


class Block:
    """One block of bootstrap registers, by name."""

    def __init__(
        self,
        camera: Camera,
        name: str,
        base: int,
        layout: Mapping[str, boot.Layout],
        special: Mapping[str, tuple[Refresh | None, Check | None, Hook | None]],
        absent: tuple[str, ...] = (),
    ) -> None:
        self._base = base
        self._layout = layout
        # Behind the last register of the ABRM is nothing (GenCP 1.3, 5.4); the other blocks are whole pages.
        size = max(at.offset + at.size for at in layout.values()) if name == "ABRM" else boot.REGION_BYTES
        self._region = camera.memory.add_region(name, base, size)
        for key, at in layout.items():
            refresh, check, written = special.get(key, (None, None, None))
            register = Register(key, base + at.offset, at.size, at.access, refresh, check, written)
            register.absent = key in absent
            self._region.add(register)

    def clear(self) -> None:
        """All zeros, as before anything was filled in."""
        self._region.write(self._base, bytes(len(self._region.data)))

    def get(self, name: str) -> int:
        at = self._layout[name]
        return int.from_bytes(self._region.read(self._base + at.offset, at.size), "little")

    def text(self, name: str) -> str:
        at = self._layout[name]
        raw = self._region.read(self._base + at.offset, at.size)
        return raw.partition(b"\0")[0].decode("ascii", "replace")

    def set(self, name: str, value: int | str) -> None:
        at = self._layout[name]
        if isinstance(value, str):
            raw = value.encode("ascii", "replace")[: at.size - 1].ljust(at.size, b"\0")
        else:
            raw = value.to_bytes(at.size, "little")
        self._region.write(self._base + at.offset, raw)


class Bootstrap:
    """The registers of one camera. `is_halted(endpoint)`: whether a host has halted it."""

    def __init__(
        self,
        camera: Camera,
        stream: StreamChannel,
        event: EventChannel,
        options: WireOptions,
        is_halted: Callable[[int], bool],
    ) -> None:
        self._camera = camera
        self._stream = stream
        self._event = event
        self._options = options
        self._is_halted = is_halted
        self._speed = Speed.SUPER
        events = bool(camera.family.events)
        absent = _ABSENT if events else (*_ABSENT, "Message_Channel_ID")
        self._abrm = Block(camera, "ABRM", 0, boot.ABRM, self._abrm_hooks(), absent)
        self._sbrm = Block(camera, "SBRM", boot.SBRM_ADDRESS, boot.SBRM, {})
        self._sirm = Block(camera, "SIRM", boot.SIRM_ADDRESS, boot.SIRM, self._sirm_hooks())
        self._eirm = (
            Block(camera, "EIRM", boot.EIRM_ADDRESS, boot.EIRM, self._eirm_hooks()) if events else None
        )
        self._add_files()
        self.power_up()

    def power_up(self) -> None:
        """What the registers hold before a host has written any."""
        camera, model, options = self._camera, self._camera.model, self._options
        for block in (self._abrm, self._sbrm, self._sirm, self._eirm):
            if block is not None:
                block.clear()
        events = self._eirm is not None
        abrm: dict[str, int | str] = {
            "GenCP_Version": _version("GenCP"),
            "Manufacturer_Name": model.maker,
            "Model_Name": model.name,
            "Family_Name": model.family,
            "Device_Version": model.device_version,
            "Manufacturer_Info": model.manufacturer_info,
            "Serial_Number": camera.options.serial,
            "User_Defined_Name": camera.user_defined_name,
            "Device_Capability": boot.DEVICE_CAPABILITY
            | (boot.DEVICE_CAPABILITY_MESSAGE_CHANNEL if events else 0),
            "Maximum_Device_Response_Time": options.response_time_ms,
            "Manifest_Table_Address": boot.MANIFEST_ADDRESS,
            "SBRM_Address": boot.SBRM_ADDRESS,
            "Timestamp_Increment": model.integer("timestamp_increment_ns", 1),
        }
        sbrm: dict[str, int | str] = {
            "U3V_Version": _version("TL"),
            "U3VCP_Capability": boot.U3VCP_SIRM | (boot.U3VCP_EIRM if events else 0),
            "Maximum_Command_Transfer_Length": options.transfer_bytes,
            "Maximum_Acknowledge_Transfer_Length": options.transfer_bytes,
            "Number_of_Stream_Channels": 1,
            "SIRM_Address": boot.SIRM_ADDRESS,
            "SIRM_Length": boot.SIRM_BYTES,
            "EIRM_Address": boot.EIRM_ADDRESS if events else 0,
            "EIRM_Length": boot.EIRM_BYTES if events else 0,
            "Current_Speed": self._speed.sbrm_bit,
        }
        least_trailer = CHUNK_TRAILER_BYTES if camera.chunks else TRAILER_BYTES
        sirm: dict[str, int | str] = {
            "SI_Info": options.alignment_exponent << 24,
            "SI_Required_Leader_Size": max(options.required_leader_bytes, LEADER_BYTES),
            "SI_Required_Trailer_Size": max(options.required_trailer_bytes, least_trailer),
        }
        for block, values in ((self._abrm, abrm), (self._sbrm, sbrm), (self._sirm, sirm)):
            for name, value in values.items():
                block.set(name, value)
        if self._eirm is not None:
            self._eirm.set("Maximum_Event_Transfer_Length", MAX_EVENT_BYTES)

    def show_speed(self, speed: Speed) -> None:
        self._speed = speed
        self._sbrm.set("Current_Speed", speed.sbrm_bit)

    def show_stream_off(self) -> None:
        self._sirm.set("SI_Control", 0)

    def show_events_off(self) -> None:
        if self._eirm is not None:
            self._eirm.set("EI_Control", 0)

    # -- ABRM ---------------------------------------------------------------------------------------------

    def _abrm_hooks(self) -> dict[str, tuple[Refresh | None, Check | None, Hook | None]]:
        camera = self._camera
        return {
            "Timestamp": (lambda: struct.pack("<Q", camera.latched_timestamp_ns), None, None),
            "Timestamp_Latch": (None, None, self._latch_written),
            "User_Defined_Name": (
                None,
                _check_text,
                lambda: camera.rename(self._abrm.text("User_Defined_Name")),
            ),
            "Device_Configuration": (None, None, lambda: self._abrm.set("Device_Configuration", 0)),
        }

    def _latch_written(self) -> None:
        if self._abrm.get("Timestamp_Latch") & 1:
            self._camera.latch_timestamp()
        self._abrm.set("Timestamp_Latch", 0)

    # -- SIRM ---------------------------------------------------------------------------------------------

    def _sirm_hooks(self) -> dict[str, tuple[Refresh | None, Check | None, Hook | None]]:
        camera = self._camera
        special: dict[str, tuple[Refresh | None, Check | None, Hook | None]] = {
            "SI_Control": (None, self._check_si_control, self._si_control_written),
            "SI_Required_Payload_Size": (lambda: struct.pack("<Q", camera.wire_bytes), None, None),
            "SI_Payload_Transfer_Count": (None, self._check_si_writable, None),
        }
        return special | dict.fromkeys(_SI_SIZES, (None, self._check_si_size, None))

    def _check_si_writable(self, raw: bytes) -> None:
        if self._options.strict and self._stream.enabled:
            raise GenCPError(Status.ACCESS_DENIED, "SI registers are locked while the stream is enabled")

    def _check_si_size(self, raw: bytes) -> None:
        self._check_si_writable(raw)
        size = struct.unpack("<I", raw)[0]
        step = 1 << self._options.alignment_exponent
        if self._options.strict and size % step:
            raise GenCPError(Status.SI_PAYLOAD_SIZE_NOT_ALIGNED, f"{size} bytes is no multiple of {step}")

    def _check_si_control(self, raw: bytes) -> None:
        _check_bit0(raw)
        if not raw[0]:
            return
        if self._is_halted(STREAM_IN):
            raise GenCPError(Status.DSI_ENDPOINT_HALTED, "the stream endpoint is halted")
        if not self._options.strict:
            return
        plan, get = self._plan(), self._sirm.get
        if (
            plan.capacity < self._camera.wire_bytes
            or get("SI_Maximum_Leader_Size") < get("SI_Required_Leader_Size")
            or get("SI_Maximum_Trailer_Size") < get("SI_Required_Trailer_Size")
        ):
            raise GenCPError(Status.SI_REGISTERS_INCONSISTENT, f"{plan} for {self._camera.wire_bytes} bytes")

    def _si_control_written(self) -> None:
        if self._sirm.get("SI_Control"):
            self._stream.enable(self._plan())
        else:
            self._stream.disable()

    def _plan(self) -> TransferPlan:
        return TransferPlan(*(self._sirm.get(name) for name in _SI_PLAN))

    # -- EIRM ---------------------------------------------------------------------------------------------

    def _eirm_hooks(self) -> dict[str, tuple[Refresh | None, Check | None, Hook | None]]:
        return {
            "EI_Control": (None, self._check_ei_control, self._ei_control_written),
            "Event_Test_Control": (None, None, self._event_test_written),
        }

    def _check_ei_control(self, raw: bytes) -> None:
        _check_bit0(raw)
        if raw[0] and self._is_halted(EVENT_IN):
            raise GenCPError(Status.EVENT_ENDPOINT_HALTED, "the event endpoint is halted")

    def _ei_control_written(self) -> None:
        assert self._eirm is not None
        self._event.set_enabled(bool(self._eirm.get("EI_Control")))

    def _event_test_written(self) -> None:
        assert self._eirm is not None
        if self._eirm.get("Event_Test_Control"):
            self._event.send(TEST_EVENT_ID, self._camera.timestamp_ns, event_data(0))
        self._eirm.set("Event_Test_Control", 0)

    # -- files --------------------------------------------------------------------------------------------

    def _add_files(self) -> None:
        file = xml_file(self._camera, self._options.zipped_xml)
        manifest = boot.build_manifest(
            FILE_VERSION, self._options.zipped_xml, boot.XML_ADDRESS, len(file), hashlib.sha1(file).digest()
        )
        for name, base, data in (
            ("manifest", boot.MANIFEST_ADDRESS, manifest),
            ("XML file", boot.XML_ADDRESS, file),
        ):
            region = self._camera.memory.add_region(name, base, -(-len(data) // 0x1000) * 0x1000)
            region.add(Register(name, base, len(data), "R"))
            region.write(base, data)


def xml_file(camera: Camera, zipped: bool = True) -> bytes:
    """The camera's GenICam XML as hosts download it. Cameras with the same declarations share it."""
    name = camera.model.name

    def make() -> bytes:
        xml = xml_text(camera)
        return zip_xml(xml, name) if zipped else xml.encode()

    return shared_file((USB3_VISION, name, zipped), tuple(camera.features), make)


def xml_text(camera: Camera) -> str:
    """The camera's GenICam XML."""
    model: Model = camera.model
    return build_xml(
        camera.features,
        vendor=model.maker,
        model=model.name.replace("-", "_"),
        tooltip=f"{model.title}, a virtual camera",
        name_space=camera.wire.name_space,
        events=sfnc.event_nodes(camera.family),
        chunks=camera.chunks,
    )


def _check_text(raw: bytes) -> None:
    if not raw.partition(b"\0")[0].isascii():
        raise GenCPError(Status.INVALID_PARAMETER, "User_Defined_Name: not ASCII")


def _check_bit0(raw: bytes) -> None:
    if int.from_bytes(raw, "little") > 1:
        raise GenCPError(Status.INVALID_PARAMETER, "only bit 0 is defined")


def _version(of: str) -> int:
    major, minor = USB3_VISION.versions[of]
    return major << 16 | minor
