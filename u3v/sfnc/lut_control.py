"""SFNC LUTControl: the luminance look-up table, from 12 bits to 12 bits.

The table's bytes are those of LUTValueAll: 4096 numbers of 16 bits, little-endian. LUTValue reads and writes the one at
LUTIndex. Hosts read the table in one piece and write it number by number, or as a file where the camera has one.
"""

from dataclasses import replace

from u3v.device import Device
from u3v.errors import GenCPError, Status
from u3v.features import Boolean, ByteArray, Enumeration, Feature, Integer, Value
from u3v.files import DeviceFile

CATEGORY = "LUTControl"
ENTRIES = 4096
LARGEST = ENTRIES - 1
TABLE = "LUTValueAll"
_IDENTITY = b"".join(number.to_bytes(2, "little") for number in range(ENTRIES)).hex()


def features() -> list[Feature]:
    """All features of the category."""
    declared: list[Feature] = [
        Enumeration(
            name="LUTSelector", tooltip="The table that the others are about.", entries={"Luminance": 0}
        ),
        Boolean(
            name="LUTEnable",
            tooltip="Whether pixel values go through the table.",
            selectors=("LUTSelector",),
            persistent=True,
        ),
        Integer(name="LUTIndex", tooltip="The pixel value (12 bits) that LUTValue is for.", max=LARGEST),
        Integer(
            name="LUTValue",
            tooltip="What becomes of the pixel value at LUTIndex.",
            max=LARGEST,
            read=_read,
            store=_store,
        ),
        ByteArray(
            name=TABLE,
            tooltip="The whole table: 4096 numbers of 16 bits, little-endian.",
            access="RO",
            length=2 * ENTRIES,
            default=_IDENTITY,
            changed_by=("LUTValue", "FileOperationExecute", "UserSetLoad", "DeviceReset"),
        ),
    ]
    return [replace(feature, category=CATEGORY) for feature in declared]


def file(name: str = "LUTLuminance") -> DeviceFile:
    """The table as a file. Refused where its size, or a number in it, is not one of a table."""

    def read(camera: Device) -> bytes:
        return bytes.fromhex(camera.features.get(TABLE))

    def write(camera: Device, content: bytes) -> None:
        if len(content) != 2 * ENTRIES or max(content[1::2]) > LARGEST >> 8:
            raise GenCPError(Status.INVALID_PARAMETER, f"not {ENTRIES} numbers from 0 to {LARGEST}")
        camera.features.set(TABLE, content.hex())

    return DeviceFile(name, 2 * ENTRIES, read, write)


def _read(camera: Device) -> int:
    at = 4 * int(camera.features.get("LUTIndex"))
    return int.from_bytes(bytes.fromhex(camera.features.get(TABLE)[at : at + 4]), "little")


def _store(camera: Device, value: Value) -> None:
    at, table = 4 * int(camera.features.get("LUTIndex")), camera.features.get(TABLE)
    new = int(value).to_bytes(2, "little").hex()
    camera.features.set(TABLE, table[:at] + new + table[at + 4 :])
