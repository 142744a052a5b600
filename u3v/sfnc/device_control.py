"""SFNC DeviceControl: identity, link throughput, temperature, clock, reset."""

from dataclasses import replace

from u3v.features import Command, Enumeration, Feature, Float, Integer, String
from u3v.model import Model
from u3v.thermal import ThermalLimits
from u3v.wire_traits import WireTraits

CATEGORY = "DeviceControl"
_STANDARDS = {"TL": "the transport layer", "GenCP": "the control protocol"}


def features(model: Model, wire: WireTraits) -> list[Feature]:
    """All features of the category."""
    tl_type, tl_value = wire.tl_type
    major, minor = model.sfnc_version.split(".")
    declared: list[Feature] = [
        _identity(wire, "DeviceVendorName", "Name of the manufacturer of the device.", model.maker),
        _identity(wire, "DeviceModelName", "Model of the device.", model.name),
        _identity(wire, "DeviceFamilyName", "Family of the device.", model.family),
        _identity(
            wire,
            "DeviceManufacturerInfo",
            "Manufacturer information about the device.",
            model.manufacturer_info,
        ),
        _identity(wire, "DeviceVersion", "Version of the device.", model.device_version),
        String(
            name="DeviceFirmwareVersion",
            tooltip="Version of the firmware in the device.",
            access="RO",
            default=model.firmware_version,
            length=128,
        ),
        _identity(wire, "DeviceSerialNumber", "Serial number of the device."),
        _identity(wire, "DeviceID", "Device identifier (its serial number)."),
        replace(
            _identity(wire, "DeviceUserID", "User-programmable device identifier."),
            access="RW",
        ),
        Enumeration(
            name="DeviceScanType", tooltip="Scan type of the sensor.", access="RO", entries={"Areascan": 0}
        ),
        Enumeration(
            name="DeviceTLType", tooltip="Transport layer type.", access="RO", entries={tl_type: tl_value}
        ),
        _constant("DeviceSFNCVersionMajor", "SFNC version, major.", int(major)),
        _constant("DeviceSFNCVersionMinor", "SFNC version, minor.", int(minor)),
        Integer(name="DeviceSFNCVersionSubMinor", tooltip="SFNC version, sub-minor.", access="RO", max=0),
        Command(
            name="DeviceReset",
            tooltip="Resets the device to its power-up state.",
            visibility="Guru",
            execute=lambda camera: camera.reset(),
        ),
        Integer(
            name="DeviceLinkSpeed",
            tooltip="Speed of the camera's own link, which its frame rate obeys.",
            access="RO",
            visibility="Expert",
            unit="Bps",
            bits=64,
            max=2**62,
            read=lambda camera: camera.link_bits_per_s // 8,
        ),
        Enumeration(
            name="DeviceLinkThroughputLimitMode",
            tooltip="Whether DeviceLinkThroughputLimit is in force.",
            visibility="Expert",
            entries={"Off": 0, "On": 1},
            default="On",
            persistent=True,
        ),
        Integer(
            name="DeviceLinkThroughputLimit",
            tooltip="Limits the bandwidth of the streamed data.",
            visibility="Expert",
            unit="Bps",
            bits=64,
            default=model.integer("throughput_default_bytes_per_s"),
            min=model.integer("throughput_min_bytes_per_s"),
            max=model.integer("throughput_max_bytes_per_s"),
            persistent=True,
            available=lambda camera: camera.features.get_or("DeviceLinkThroughputLimitMode", "On") == "On",
        ),
        Integer(
            name="DeviceLinkCurrentThroughput",
            tooltip="Bandwidth the stream uses with the settings as they are.",
            access="RO",
            visibility="Expert",
            unit="Bps",
            bits=64,
            max=2**62,
            read=lambda camera: camera.wire_bytes * 10**9 // camera.acquisition.period_ns(),
        ),
        Enumeration(
            name="DeviceTemperatureSelector",
            tooltip="Where in the device the temperature is measured.",
            visibility="Expert",
            entries={"Coreboard": 1},
        ),
        Float(
            name="DeviceTemperature",
            tooltip="Temperature in the device.",
            access="RO",
            visibility="Expert",
            unit="C",
            min=-273.15,
            max=1000.0,
            read=lambda camera: round(camera.surroundings.temperature_c(camera.now_ns)),
        ),
        Command(
            name="TimestampLatch",
            tooltip="Latches the device's clock into TimestampLatchValue.",
            visibility="Expert",
            execute=lambda camera: camera.latch_timestamp(),
        ),
        Integer(
            name="TimestampLatchValue",
            tooltip="The device's clock when it was last latched.",
            access="RO",
            visibility="Expert",
            unit="ns",
            bits=64,
            max=2**63 - 1,
            read=lambda camera: camera.latched_timestamp_ns,
        ),
    ]
    return [replace(feature, category=CATEGORY) for feature in declared]


def _constant(name: str, tooltip: str, value: int) -> Integer:
    return Integer(name=name, tooltip=tooltip, access="RO", default=value, min=value, max=value)


def versions(wire: WireTraits) -> list[Feature]:
    """Versions of the standards that the wire follows."""
    return [
        replace(
            _constant(
                f"Device{what}Version{part}", f"Version of {_STANDARDS[what]}, {part.lower()}.", number
            ),
            category=CATEGORY,
        )
        for what, version in wire.versions.items()
        for part, number in zip(("Major", "Minor"), version, strict=True)
    ]


def temperature_status(limits: ThermalLimits) -> Feature:
    """How warm the device is, in its maker's words."""
    return Enumeration(
        name="DeviceTemperatureStatus",
        tooltip="Whether the temperature in the device is what it should be.",
        category=CATEGORY,
        access="RO",
        visibility="Expert",
        entries={name: index for index, (name, _) in enumerate(limits.status)},
        read=lambda camera: camera.thermal.status,
    )


def _identity(wire: WireTraits, name: str, tooltip: str, default: str = "") -> String:
    """A string that many wires keep in a bootstrap register; elsewhere it has a register of its own."""
    at, length = wire.identity.get(name, (None, 64))
    return String(name=name, tooltip=tooltip, access="RO", address=at, length=length, default=default)
