"""USB descriptors of a USB3 Vision device, built once with construct.

Layouts: USB 3.2 specification chapter 9.6 and, for the device information descriptor (type 0x24, subtype
0x01), USB3 Vision 1.0. The function is one IAD (EF/05/00) over a control, an optional event and a stream
interface; the device information descriptor directly follows the control interface descriptor.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from construct import Byte, Bytes, Const, Int16ul, Int32ul, Struct

CONTROL_OUT = 0x01
CONTROL_IN = 0x81
EVENT_IN = 0x82
STREAM_IN = 0x83
ENDPOINTS = (CONTROL_OUT, CONTROL_IN, EVENT_IN, STREAM_IN)

STREAM_MAX_BURST = 15
LANGUAGE_EN_US = 0x0409


class Speed(Enum):
    """A link speed: name as Linux writes it, Current_Speed bit of the SBRM, raw bit rate."""

    HIGH = ("high", 0x04, 480_000_000)
    SUPER = ("super", 0x08, 5_000_000_000)

    def __init__(self, label: str, sbrm_bit: int, bits_per_s: int) -> None:
        self.label = label
        self.sbrm_bit = sbrm_bit
        self.bits_per_s = bits_per_s

    @property
    def max_packet(self) -> int:
        """wMaxPacketSize of a bulk endpoint, bytes."""
        return 1024 if self is Speed.SUPER else 512

    @property
    def max_packet0(self) -> int:
        """Largest packet of endpoint 0, bytes."""
        return 512 if self is Speed.SUPER else 64

    @property
    def power_unit_ma(self) -> int:
        """Unit of bMaxPower, mA (USB 3.2 clause 9.6.3)."""
        return 8 if self is Speed.SUPER else 2

    @property
    def port_limit_ma(self) -> int:
        """What a compliant port of this speed supplies to a configured device, mA."""
        return 900 if self is Speed.SUPER else 500


@dataclass(frozen=True, slots=True)
class Descriptors:
    """All descriptors of a device at one speed. `strings` maps index to text (0 is the language table).

    `qualifier` and `other_speed`, at High-Speed only: what the device would be at Full-Speed.
    """

    device: bytes
    configuration: bytes
    bos: bytes
    qualifier: bytes | None
    strings: Mapping[int, str]
    other_speed: bytes | None = None

    @property
    def has_ltm(self) -> bool:
        """Whether the SuperSpeed capability promises latency tolerance messages (USB 3.2 clause 9.6.2.2)."""
        return bool(self.bos[_LTM_AT] & 0x02)


@dataclass(frozen=True, slots=True)
class Identity:
    """The strings and numbers a device shows on the bus."""

    vid: int
    pid: int
    bcd_device: int
    vendor: str
    model: str
    family: str
    device_version: str
    manufacturer_info: str
    serial: str
    guid: str
    user_defined_name: str
    max_power_ma: int
    max_power_high_speed_ma: int
    gencp_version: tuple[int, int] = (1, 1)
    u3v_version: tuple[int, int] = (1, 0)


_DEVICE = Struct(
    "bLength" / Const(18, Byte),
    "bDescriptorType" / Const(0x01, Byte),
    "bcdUSB" / Int16ul,
    "bDeviceClass" / Const(0xEF, Byte),
    "bDeviceSubClass" / Const(0x02, Byte),
    "bDeviceProtocol" / Const(0x01, Byte),
    "bMaxPacketSize0" / Byte,
    "idVendor" / Int16ul,
    "idProduct" / Int16ul,
    "bcdDevice" / Int16ul,
    "iManufacturer" / Byte,
    "iProduct" / Byte,
    "iSerialNumber" / Byte,
    "bNumConfigurations" / Const(1, Byte),
)
_QUALIFIER = Struct(
    "bLength" / Const(10, Byte),
    "bDescriptorType" / Const(0x06, Byte),
    "bcdUSB" / Int16ul,
    "bDeviceClass" / Const(0xEF, Byte),
    "bDeviceSubClass" / Const(0x02, Byte),
    "bDeviceProtocol" / Const(0x01, Byte),
    "bMaxPacketSize0" / Const(64, Byte),
    "bNumConfigurations" / Const(1, Byte),
    "bReserved" / Const(0, Byte),
)
_CONFIGURATION = Struct(
    "bLength" / Const(9, Byte),
    "bDescriptorType" / Byte,
    "wTotalLength" / Int16ul,
    "bNumInterfaces" / Byte,
    "bConfigurationValue" / Const(1, Byte),
    "iConfiguration" / Const(0, Byte),
    "bmAttributes" / Byte,
    "bMaxPower" / Byte,
)
_ASSOCIATION = Struct(
    "bLength" / Const(8, Byte),
    "bDescriptorType" / Const(0x0B, Byte),
    "bFirstInterface" / Const(0, Byte),
    "bInterfaceCount" / Byte,
    "bFunctionClass" / Const(0xEF, Byte),
    "bFunctionSubClass" / Const(0x05, Byte),
    "bFunctionProtocol" / Const(0x00, Byte),
    "iFunction" / Byte,
)
_INTERFACE = Struct(
    "bLength" / Const(9, Byte),
    "bDescriptorType" / Const(0x04, Byte),
    "bInterfaceNumber" / Byte,
    "bAlternateSetting" / Const(0, Byte),
    "bNumEndpoints" / Byte,
    "bInterfaceClass" / Const(0xEF, Byte),
    "bInterfaceSubClass" / Const(0x05, Byte),
    "bInterfaceProtocol" / Byte,
    "iInterface" / Const(0, Byte),
)
_DEVICE_INFO = Struct(
    "bLength" / Const(0x14, Byte),
    "bDescriptorType" / Const(0x24, Byte),
    "bDescriptorSubtype" / Const(0x01, Byte),
    "bGenCPVersion" / Int32ul,
    "bU3VVersion" / Int32ul,
    "iDeviceGUID" / Byte,
    "iVendorName" / Byte,
    "iModelName" / Byte,
    "iFamilyName" / Byte,
    "iDeviceVersion" / Byte,
    "iManufacturerInfo" / Byte,
    "iSerialNumber" / Byte,
    "iUserDefinedName" / Byte,
    "bmSpeedSupport" / Byte,
)
_ENDPOINT = Struct(
    "bLength" / Const(7, Byte),
    "bDescriptorType" / Const(0x05, Byte),
    "bEndpointAddress" / Byte,
    "bmAttributes" / Const(0x02, Byte),
    "wMaxPacketSize" / Int16ul,
    "bInterval" / Const(0, Byte),
)
_COMPANION = Struct(
    "bLength" / Const(6, Byte),
    "bDescriptorType" / Const(0x30, Byte),
    "bMaxBurst" / Byte,
    "bmAttributes" / Const(0, Byte),
    "wBytesPerInterval" / Const(0, Int16ul),
)
_BOS = Struct(
    "bLength" / Const(5, Byte),
    "bDescriptorType" / Const(0x0F, Byte),
    "wTotalLength" / Const(22, Int16ul),
    "bNumDeviceCaps" / Const(2, Byte),
    # USB 2.0 extension: LPM with BESL values
    "usb20" / Const(bytes((7, 0x10, 0x02, 0x1E, 0x64, 0, 0)), Bytes(7)),
    # SuperSpeed: FS, HS and SS, full function at SS only, U1 10 us, U2 2047 us
    "superspeed" / Const(bytes((10, 0x10, 0x03, 0, 0x0E, 0, 3, 0x0A, 0xFF, 0x07)), Bytes(10)),
)
_LTM_AT = 5 + 7 + 3

_VENDOR, _MODEL, _SERIAL, _GUID, _VERSION, _INFO, _FAMILY, _USER_NAME, _FUNCTION, _TOO_SLOW = range(1, 11)
_BUS_POWERED, _SELF_POWERED = 0x80, 0xC0
# At Full-Speed there is no USB3 Vision: one vendor interface without endpoints, whose name says so.
_NO_CAMERA = Struct(
    "bLength" / Const(9, Byte),
    "bDescriptorType" / Const(0x04, Byte),
    "bInterfaceNumber" / Const(0, Byte),
    "bAlternateSetting" / Const(0, Byte),
    "bNumEndpoints" / Const(0, Byte),
    "class" / Const(bytes((0xFF, 0, 0)), Bytes(3)),
    "iInterface" / Const(_TOO_SLOW, Byte),
)
_SPEED_SUPPORT = 0x0C  # bit 2 High-Speed, bit 3 SuperSpeed


def build_descriptors(identity: Identity, speed: Speed, *, events: bool = True) -> Descriptors:
    """All descriptors of a USB3 Vision device at `speed`: three interfaces, two without `events`.

    A device that draws nothing from the bus (0 mA) is self-powered.
    """
    super_speed = speed is Speed.SUPER
    device = _DEVICE.build(
        dict(
            bcdUSB=0x0300 if super_speed else 0x0210,
            bMaxPacketSize0=9 if super_speed else 64,
            idVendor=identity.vid,
            idProduct=identity.pid,
            bcdDevice=identity.bcd_device,
            iManufacturer=_VENDOR,
            iProduct=_MODEL,
            iSerialNumber=_SERIAL,
        )
    )

    def endpoint(address: int, burst: int = 0) -> bytes:
        out: bytes = _ENDPOINT.build(dict(bEndpointAddress=address, wMaxPacketSize=speed.max_packet))
        if super_speed:
            out += _COMPANION.build(dict(bMaxBurst=burst))
        return out

    def interface(number: int, endpoints: int, protocol: int) -> bytes:
        built: bytes = _INTERFACE.build(
            dict(bInterfaceNumber=number, bNumEndpoints=endpoints, bInterfaceProtocol=protocol)
        )
        return built

    interfaces = 3 if events else 2
    body = _ASSOCIATION.build(dict(bInterfaceCount=interfaces, iFunction=_FUNCTION))
    body += interface(0, 2, 0)
    body += _DEVICE_INFO.build(
        dict(
            bGenCPVersion=identity.gencp_version[0] << 16 | identity.gencp_version[1],
            bU3VVersion=identity.u3v_version[0] << 16 | identity.u3v_version[1],
            iDeviceGUID=_GUID,
            iVendorName=_VENDOR,
            iModelName=_MODEL,
            iFamilyName=_FAMILY,
            iDeviceVersion=_VERSION,
            iManufacturerInfo=_INFO,
            iSerialNumber=_SERIAL,
            iUserDefinedName=_USER_NAME if identity.user_defined_name else 0,
            bmSpeedSupport=_SPEED_SUPPORT,
        )
    )
    body += endpoint(CONTROL_OUT) + endpoint(CONTROL_IN)
    if events:
        body += interface(1, 1, 1) + endpoint(EVENT_IN)
    body += interface(interfaces - 1, 1, 2) + endpoint(STREAM_IN, STREAM_MAX_BURST)
    power_ma = identity.max_power_ma if super_speed else identity.max_power_high_speed_ma
    power = dict(
        bmAttributes=_BUS_POWERED if power_ma else _SELF_POWERED,
        bMaxPower=min(-(-power_ma // speed.power_unit_ma), 255),
    )
    configuration = (
        _CONFIGURATION.build(
            dict(bDescriptorType=2, wTotalLength=9 + len(body), bNumInterfaces=interfaces, **power)
        )
        + body
    )
    strings = {
        _VENDOR: identity.vendor,
        _MODEL: identity.model,
        _SERIAL: identity.serial,
        _GUID: identity.guid,
        _VERSION: identity.device_version,
        _INFO: identity.manufacturer_info,
        _FAMILY: identity.family,
        _USER_NAME: identity.user_defined_name,
        _FUNCTION: "USB3 Vision Device",
    }
    if super_speed:
        return Descriptors(device, configuration, _BOS.build({}), None, strings)
    qualifier = _QUALIFIER.build(dict(bcdUSB=0x0210))
    other_speed = _CONFIGURATION.build(dict(bDescriptorType=7, wTotalLength=18, bNumInterfaces=1, **power))
    strings[_TOO_SLOW] = "USB3 Vision needs High-Speed or SuperSpeed"
    other_speed += _NO_CAMERA.build({})
    return Descriptors(device, configuration, _BOS.build({}), qualifier, strings, other_speed)
