"""SFNC FileAccessControl: files in the camera, and the features that open, read and write them.

What the files hold survives power cycles where user sets do. A firmware file takes effect when the camera is reset;
one that is damaged, not complete or for another model is refused when it is closed, and nothing changes.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from u3v.device import Device
from u3v.errors import GenCPError, Malformed, Status
from u3v.features import ByteArray, Command, Enumeration, Feature, Integer
from u3v.files import BUFFER_BYTES, CLOSE, DELETE, OPEN, READ, WRITE, DeviceFile
from u3v.firmware import MAX_BYTES, read_firmware

CATEGORY = "FileAccessControl"
FIRMWARE = "Firmware"
_FILE = ("FileSelector",)


def features(files: Sequence[DeviceFile]) -> list[Feature]:
    """All features of the category, for cameras with these files."""
    largest = max(file.max_bytes for file in files)
    declared: list[Feature] = [
        Enumeration(
            name="FileSelector",
            tooltip="The file that the other features are about.",
            entries={file.name: index for index, file in enumerate(files)},
        ),
        Enumeration(
            name="FileOperationSelector",
            tooltip="What FileOperationExecute does.",
            entries={name: index for index, name in enumerate((OPEN, CLOSE, READ, WRITE, DELETE))},
        ),
        Command(
            name="FileOperationExecute",
            tooltip="Does what FileOperationSelector says with the selected file.",
            execute=_execute,
        ),
        Enumeration(
            name="FileOpenMode",
            tooltip="What the file is opened for.",
            entries={"Read": 0, "Write": 1, "ReadWrite": 2},
        ),
        ByteArray(
            name="FileAccessBuffer",
            tooltip="What is written into the file, or was read from it.",
            length=BUFFER_BYTES,
            changed_by=("FileOperationExecute",),
        ),
        Integer(
            name="FileAccessOffset",
            tooltip="Where in the file to read or write.",
            unit="B",
            max=largest,
        ),
        Integer(
            name="FileAccessLength",
            tooltip="How many bytes of the buffer to read or write.",
            unit="B",
            max=BUFFER_BYTES,
        ),
        Enumeration(
            name="FileOperationStatus",
            tooltip="How the last operation ended.",
            access="RO",
            entries={"Success": 0, "Failure": 1},
            read=lambda camera: "Success" if camera.files.succeeded else "Failure",
        ),
        Integer(
            name="FileOperationResult",
            tooltip="Bytes that the last operation read or wrote.",
            access="RO",
            read=lambda camera: camera.files.result,
        ),
        Integer(
            name="FileSize",
            tooltip="Bytes in the selected file.",
            access="RO",
            unit="B",
            selectors=_FILE,
            read=lambda camera: camera.files.size(camera.features.get("FileSelector")),
        ),
    ]
    return [replace(feature, category=CATEGORY, visibility="Guru") for feature in declared]


def user_file(name: str, max_bytes: int) -> DeviceFile:
    """A file for whatever the user likes to keep in the camera. One whose stored digits are none is empty."""
    key = f"File {name}"

    def read(camera: Device) -> bytes:
        try:
            return bytes.fromhex(str(camera.user_sets.get(key, {}).get("hex", "")))
        except ValueError:
            return b""

    def write(camera: Device, content: bytes) -> None:
        camera.store_user_set(key, {"hex": content.hex()})

    return DeviceFile(name, max_bytes, read, write)


def user_set_file(name: str, max_bytes: int = 1 << 16) -> DeviceFile:
    """A user set as a file: JSON, feature by feature."""

    def read(camera: Device) -> bytes:
        return json.dumps(dict(camera.user_sets.get(name, {})), indent=1).encode()

    def write(camera: Device, content: bytes) -> None:
        try:
            values: Any = json.loads(content)
            known = camera.features.snapshot()
            fits = all(type(known[key]) is type(value) for key, value in values.items())
        except (ValueError, KeyError, AttributeError, RecursionError):
            fits = False
        if not fits:
            raise GenCPError(Status.INVALID_PARAMETER, f"this is no {name} of such a camera")
        camera.store_user_set(name, values)

    return DeviceFile(name, max_bytes, read, write)


def firmware_file(name: str = "FirmwareUpdate") -> DeviceFile:
    """What an update program writes."""

    def write(camera: Device, content: bytes) -> None:
        try:
            version = read_firmware(content, camera.model.name)
        except Malformed as error:
            raise GenCPError(Status.INVALID_PARAMETER, str(error)) from None
        camera.store_user_set(FIRMWARE, {"version": version})

    return DeviceFile(name, MAX_BYTES, None, write)


def firmware_version(camera: Device) -> str:
    """The version that a camera starts with."""
    return str(camera.user_sets.get(FIRMWARE, {}).get("version", camera.model.firmware_version))


def _execute(camera: Device) -> None:
    features = camera.features
    camera.files.execute(features.get("FileSelector"), features.get("FileOperationSelector"))
