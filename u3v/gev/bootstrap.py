"""The bootstrap registers of GigE Vision, and what writing them does.

State: the registers' bytes, in the camera's memory. Who may write is not looked at here (`u3v.gev.control` does), but
what: a packet size out of range is clamped, as hosts that probe for one expect, and reads back as it is.
"""

import hashlib
import ipaddress
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any
from zlib import crc32

from u3v import sfnc
from u3v.camera import USER_ID, Camera
from u3v.errors import GenCPError, Status
from u3v.genapi import build_xml, shared_file, zip_xml
from u3v.gev.nodes import bandwidth, ieee1588, nodes
from u3v.memory import Check, Hook, Refresh, Register
from u3v.model import Model
from u3v.wire import gev
from u3v.wire.gvsp import Layout
from u3v.wire_traits import EventLayout, WireTraits

FEATURES_ADDRESS = 0x100000
XML_ADDRESS = 0x200000
TICKS_PER_S = 1_000_000_000
HEARTBEAT_MS, LEAST_HEARTBEAT_MS = 3000, 500
PENDING_MS = 1000
_IDENTITY = {
    "DeviceVendorName": "Manufacturer_Name",
    "DeviceModelName": "Model_Name",
    "DeviceVersion": "Device_Version",
    "DeviceManufacturerInfo": "Manufacturer_Info",
    "DeviceSerialNumber": "Serial_Number",
    "DeviceID": "Serial_Number",
    USER_ID: "User_Defined_Name",
}
GIGE_VISION = WireTraits(
    tl_type=("GigEVision", 0),
    name_space="GEV",
    features_address=FEATURES_ADDRESS,
    identity={name: (gev.REGISTERS[key].address, gev.REGISTERS[key].size) for name, key in _IDENTITY.items()},
    events=EventLayout((2, 2), {"Timestamp": (8, 8), "FrameID": (6, 2), "StreamChannelIndex": (4, 2)}, True),
    chunk_marks=">II",
    older_names=True,
)
"""A camera that is served over GigE Vision."""

_EVENT_BITS = 1 << 3 | 1 << 4
_RESEND_BIT = 1 << 2
_ACTION_BITS = 1 << 6 | 1 << 20
_SCHEDULED_BIT = 1 << 17
_IEEE1588_BIT = 1 << 19
_EXTENDED_STATUS_2_BIT = 1 << 18
_CAPABILITY = 0xF8600023
"""User name, serial, heartbeat disable, link speed, application port, extended status of 1.1, switch-over, pending ack,
WRITEMEM, concatenation."""
NETWORK = "Network"
"""Under which name the address for the next power-up is kept, beside the user sets."""
KEPT = ("IP_Configuration", "Persistent_IP", "Persistent_Subnet_Mask", "Persistent_Gateway")
_CONFIGURATION = 0x7 | gev.UNCONDITIONAL_ACTION


@dataclass(frozen=True, slots=True)
class WireOptions:
    """One camera's GigE Vision face. Which figures a maker prints is in docs/models; these are assumed.

    `version`: (major, minor) of the standard. `extended_ids`: 64-bit block ids from the start on, and no others.
    `packet_size`: SCPS at power-up; `packet_sizes`: its range and step. `mac_prefix`: the maker's.
    `resend_blocks`: how many blocks are kept for resends; 0: none, and hosts are told so. `ieee1588`: whether its
    clock can follow another one (PTP). `scheduled_actions`: how many actions may wait for their time.
    """

    version: tuple[int, int] = (1, 2)
    extended_ids: bool = False
    packet_size: int = 1500
    packet_sizes: tuple[int, int, int] = (220, 9014, 2)
    mac_prefix: int = 0x003053
    resend_blocks: int = 2
    ieee1588: bool = True
    scheduled_actions: int = 10

    @staticmethod
    def of(model: Model) -> "WireOptions":
        if model.features == "vcx":
            return WireOptions((2, 0), True, 1500, (576, 9000, 4), 0x0006BE, 1, False, 0)
        return WireOptions()

    @property
    def events(self) -> EventLayout:
        """Where hosts find the fields of an event: they count from the start of its item in the command."""
        if self.extended_ids:
            fields = {"Timestamp": (16, 8), "FrameID": (8, 8), "StreamChannelIndex": (4, 2)}
            return EventLayout(event_id=(2, 2), fields=fields, big_endian=True)
        return GIGE_VISION.events


@dataclass(frozen=True, slots=True)
class Address:
    """Where a camera is: its own IPv4 address, its net's mask, the gateway."""

    ip: str = "127.0.0.1"
    mask: str = "255.0.0.0"
    gateway: str = "0.0.0.0"


_PLACES = {name: slice(at.address, at.address + at.size) for name, at in gev.REGISTERS.items()}


class Bootstrap:
    """The registers of one camera."""

    def __init__(self, camera: Camera, options: WireOptions, address: Address) -> None:
        self._camera = camera
        self.options = options
        self.address = address
        self.stream_port = 0
        self.message_port = 0
        self._region = camera.memory.add_region("GigE Vision", 0, gev.REGION_BYTES)
        self._hooks: dict[str, tuple[Refresh | None, Check | None, Hook | None]] = {
            "SCPS": (None, self._check_idle, self._size_written),
            "Timestamp_Control": (None, None, self._timestamp_control),
            "User_Defined_Name": (None, _check_text, lambda: camera.rename(self.text("User_Defined_Name"))),
            "Heartbeat_Timeout": (None, None, self._heartbeat_written),
            "GVSP_Configuration": (None, self._check_ids, None),
            "GVCP_Configuration": (None, None, self._configuration_written),
            **dict.fromkeys(KEPT, (None, None, self._keep_network)),
        }
        self._added: dict[str, Register] = {}
        for name, at in gev.REGISTERS.items():
            refresh, check, written = self._hooks.get(name, (None, None, None))
            self._added[name] = self._region.add(
                Register(name, at.address, at.size, at.access, refresh, check, written)
            )
        self.on_size: Callable[[], None] = lambda: None
        self.on_test_packet: Callable[[int, bool], None] = lambda _size, _whole: None
        self.on_ieee1588: Callable[[bool], None] = lambda _enabled: None
        if "VirtualWire" in camera.features:
            camera.features.set("VirtualWire", _own(camera.model.wire_text))
        self._add_xml()
        self.power_up()

    def when_written(self, name: str, *, check: Check | None = None, written: Hook | None = None) -> None:
        """What a part of the wire does with writes to one of its registers."""
        register = self._added[name]
        register.check = check or register.check
        register.written = written or register.written

    def when_read(self, name: str, refresh: Callable[[], int]) -> None:
        """A register that shows what a part of the wire knows."""
        size = gev.REGISTERS[name].size
        self._added[name].refresh = lambda: (refresh() % (1 << 8 * size)).to_bytes(size, "big")

    def get(self, name: str) -> int:
        return int.from_bytes(self._region.data[_PLACES[name]], "big")

    def text(self, name: str) -> str:
        at = gev.REGISTERS[name]
        return self._region.read(at.address, at.size).partition(b"\0")[0].decode("ascii", "replace")

    def set(self, name: str, value: int | str) -> None:
        at = gev.REGISTERS[name]
        if isinstance(value, str):
            raw = value.encode("ascii", "replace")[: at.size - 1].ljust(at.size, b"\0")
        else:
            raw = value.to_bytes(at.size, "big")
        self._region.write(at.address, raw)

    @property
    def discovery(self) -> bytes:
        """What a discovery acknowledge carries: the first registers, as they are."""
        return self._region.read(0, 0xF8)

    @property
    def layout(self) -> Layout:
        """Which block ids are sent now."""
        chosen = bool(self.get("GVSP_Configuration") & gev.EXTENDED_BLOCK_IDS)
        return Layout(self.options.extended_ids or chosen)

    @property
    def packet_size(self) -> int:
        return self.get("SCPS") & 0xFFFF

    @property
    def mac(self) -> int:
        camera = self._camera
        unique = crc32(f"{camera.model.name}\0{camera.options.serial}".encode()) & 0xFFFFFF
        return self.options.mac_prefix << 24 | unique

    def power_up(self) -> None:
        """What the registers hold before a host has written any."""
        camera, model, options = self._camera, self._camera.model, self.options
        self._region.write(0, bytes(gev.REGION_BYTES))
        capability = _CAPABILITY
        capability |= _EVENT_BITS if camera.family.events else 0
        capability |= _RESEND_BIT if options.resend_blocks else 0
        capability |= _ACTION_BITS if self.actions else 0
        capability |= _SCHEDULED_BIT if self.actions and options.scheduled_actions else 0
        capability |= _IEEE1588_BIT if options.ieee1588 else 0
        capability |= _EXTENDED_STATUS_2_BIT if options.version >= (2, 0) else 0
        kept: Mapping[str, Any] = camera.user_sets.get(NETWORK, {})
        values: dict[str, int | str] = {
            "Version": options.version[0] << 16 | options.version[1],
            "Device_Mode": 0x80000001,
            "MAC_High": self.mac >> 32,
            "MAC_Low": self.mac & 0xFFFFFFFF,
            "IP_Configuration_Supported": gev.IP_PERSISTENT | gev.IP_DHCP | gev.IP_LLA,
            "IP_Configuration": gev.IP_PERSISTENT | gev.IP_LLA,
            **{name: kept[name] for name in KEPT if isinstance(kept.get(name), int)},
            "Manufacturer_Name": model.maker,
            "Model_Name": model.name,
            "Device_Version": model.device_version,
            "Manufacturer_Info": _own(model.manufacturer_info),
            "Serial_Number": camera.options.serial,
            "User_Defined_Name": camera.user_defined_name,
            "First_URL": self._url,
            "Number_of_Interfaces": 1,
            "Link_Speed": camera.link_bits_per_s // 1_000_000,
            "Message_Channels": 1 if camera.family.events else 0,
            "Stream_Channels": 1,
            "Action_Signals": self.actions,
            "Active_Links": 1,
            "Stream_Capability": 0x80000000 if options.extended_ids else 0xC0000000,
            "Message_Capability": 0x80000000,
            "GVCP_Capability": capability,
            "Heartbeat_Timeout": HEARTBEAT_MS,
            "Tick_Frequency_Low": TICKS_PER_S,
            "Pending_Timeout": PENDING_MS,
            "GVSP_Configuration": gev.EXTENDED_BLOCK_IDS if options.extended_ids else 0,
            "Link_Capability": 1,
            "Scheduled_Action_Queue_Size": options.scheduled_actions if self.actions else 0,
            "SCPS": options.packet_size,
            "SCBWRA": 10,
        }
        for name, value in values.items():
            self.set(name, value)
        self.show_address()

    @property
    def actions(self) -> int:
        """How many action signals the camera has."""
        return 1 if "ActionDeviceKey" in self._camera.features else 0

    @property
    def persistent_address(self) -> Address | None:
        """Where the camera is to be after the next power-up, if a host has said so."""
        if not self.get("IP_Configuration") & gev.IP_PERSISTENT or not self.get("Persistent_IP"):
            return None
        return Address(*(ip_text(self.get(name)) for name in KEPT[1:]))

    def show_address(self, address: Address | None = None) -> None:
        """The address, where it is a new one, and the ports: sockets decide them."""
        address = self.address = address or self.address
        for name, text in (
            ("Current_IP", address.ip),
            ("Current_Subnet_Mask", address.mask),
            ("Current_Gateway", address.gateway),
        ):
            self.set(name, int(ipaddress.IPv4Address(text)))
        self.set("SCSP", self.stream_port)
        self.set("MCSP", self.message_port)

    def _size_written(self) -> None:
        low, high, step = self.options.packet_sizes
        asked = self.get("SCPS")
        size = min(max(asked & 0xFFFF, low), high)
        size -= (size - low) % step
        self.set("SCPS", (asked & gev.DO_NOT_FRAGMENT) | size)
        self.on_size()
        if asked & gev.FIRE_TEST_PACKET:
            self.on_test_packet(size, bool(asked & gev.DO_NOT_FRAGMENT))

    def _check_idle(self, _raw: bytes) -> None:
        """Basler's cameras lock it, too, while they stream."""
        if self._camera.frames.enabled and self._camera.acquisition.active:
            raise GenCPError(Status.ACCESS_DENIED, "the camera is streaming")

    def _heartbeat_written(self) -> None:
        self.set("Heartbeat_Timeout", max(self.get("Heartbeat_Timeout"), LEAST_HEARTBEAT_MS))

    def _check_ids(self, raw: bytes) -> None:
        self._check_idle(raw)
        wanted = bool(int.from_bytes(raw, "big") & gev.EXTENDED_BLOCK_IDS)
        if wanted and self.options.version < (2, 0):
            raise GenCPError(Status.INVALID_PARAMETER, "64-bit block ids came with GigE Vision 2.0")
        if not wanted and self.options.extended_ids:
            raise GenCPError(Status.INVALID_PARAMETER, "this camera has 64-bit block ids only")

    def _configuration_written(self) -> None:
        """What the camera cannot do stays off."""
        options = self.options
        known = _CONFIGURATION
        known |= gev.IEEE1588 if options.ieee1588 else 0
        known |= gev.EXTENDED_STATUS_2 if options.version >= (2, 0) else 0
        wanted = self.get("GVCP_Configuration") & known
        self.set("GVCP_Configuration", wanted)
        self.on_ieee1588(bool(wanted & gev.IEEE1588))

    def _keep_network(self) -> None:
        """For the next power-up. Link-local addresses cannot be switched off."""
        supported = gev.IP_PERSISTENT | gev.IP_DHCP
        self.set("IP_Configuration", self.get("IP_Configuration") & supported | gev.IP_LLA)
        self._camera.store_user_set(NETWORK, {name: self.get(name) for name in KEPT})

    def _timestamp_control(self) -> None:
        """A clock that follows others (PTP) is not reset."""
        camera = self._camera
        if self.get("Timestamp_Control") & gev.TIMESTAMP_RESET and not (
            self.get("GVCP_Configuration") & gev.IEEE1588
        ):
            camera.set_clock(0, camera.now_ns)
        if self.get("Timestamp_Control") & gev.TIMESTAMP_LATCH:
            self._camera.latch_timestamp()
            high, low = divmod(self._camera.latched_timestamp_ns, 1 << 32)
            self.set("Timestamp_High", high)
            self.set("Timestamp_Low", low)
        self.set("Timestamp_Control", 0)

    def _add_xml(self) -> None:
        file = xml_file(self._camera, self.options)
        model = self._camera.model
        digest = hashlib.sha1(file).hexdigest()[:16]
        maker = "".join(letter for letter in model.maker if letter.isalnum())
        self._url = f"Local:{maker}_{model.name}_{digest}.zip;{XML_ADDRESS:X};{len(file):X}"
        region = self._camera.memory.add_region("XML file", XML_ADDRESS, (len(file) // 0x1000 + 1) * 0x1000)
        region.add(Register("XML file", XML_ADDRESS, len(file), "R"))
        region.write(XML_ADDRESS, file)


def xml_file(camera: Camera, options: WireOptions) -> bytes:
    """The camera's GenICam XML, zipped. Cameras with the same declarations share it."""
    name = camera.model.name
    return shared_file(
        (GIGE_VISION, name, options), tuple(camera.features), lambda: zip_xml(xml_text(camera, options), name)
    )


def xml_text(camera: Camera, options: WireOptions) -> str:
    """The document, with the nodes of the wire."""
    model = camera.model
    return build_xml(
        camera.features,
        vendor=model.maker,
        model=model.name.replace("-", "_"),
        tooltip=f"{model.title}, a virtual camera",
        events=sfnc.event_nodes(camera.family),
        chunks=camera.chunks,
        name_space=GIGE_VISION.name_space,
        wire_nodes=(
            *nodes(options.packet_sizes),
            *(bandwidth() if camera.family.older_names else ()),
            *(ieee1588() if options.ieee1588 else ()),
        ),
        event_layout=replace(options.events, older_names=camera.family.older_names),
    )


def _own(text: str) -> str:
    """What a model says of itself on its own wire: what follows tells of other wires."""
    return text.partition(";")[0]


def _check_text(raw: bytes) -> None:
    if not raw.partition(b"\0")[0].isascii():
        raise GenCPError(Status.INVALID_PARAMETER, "names are ASCII")


@lru_cache(maxsize=64)
def ip_text(number: int) -> str:
    return str(ipaddress.IPv4Address(struct.pack(">I", number)))
