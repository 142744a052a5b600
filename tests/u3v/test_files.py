"""Files in the camera, judged by the reference GenApi's file protocol adapter."""

from typing import Any

import pytest

from tests.u3v.genicam_nodes import Nodes, genapi
from tests.u3v.models import ACE, GENERIC, IDS, NAMES, VCX, camera_of, host_of
from tests.u3v.rig import Host
from u3v.camera import Camera, Options
from u3v.errors import Malformed
from u3v.features import Value
from u3v.firmware import build_firmware, read_firmware

FILES = {
    ACE: "UserData UserSet1 UserSet2 UserSet3 FirmwareUpdate",
    IDS: "FirmwareUpdate",
    VCX: "LUTLuminance UserSet1 UserSet2 UserSet3",
    GENERIC: "UserFile UserSet0 UserSet1",
}


class Failed(Exception):
    """A step failed that the adapter tells of."""


class Disk:
    """A camera's files through GenApi's adapter: bytes in, bytes out."""

    def __init__(self, camera: Camera) -> None:
        self.camera = camera
        self.nodes = Nodes(camera)
        self._adapter = genapi.FileProtocolAdapter()
        assert self._adapter.attach(self.nodes.map.pointer)

    def write(self, name: str, content: bytes) -> None:
        """Raises Failed where a step fails."""
        self._adapter.open_file(name, "w")
        steps = [self._adapter.write(content, 0, name) == len(content), self._adapter.close_file(name)]
        if not all(steps):
            raise Failed(name, steps)

    def read(self, name: str) -> bytes:
        self._adapter.open_file(name, "r")
        content = b""
        while True:
            length, piece = self._adapter.read(700, len(content), name)
            content += piece[:length]
            if length < 700:
                break
        self._adapter.close_file(name)
        return content


def disk_of(name: str, options: Options | None = None) -> Disk:
    return Disk(host_of(name, options=options).camera)


@pytest.mark.parametrize("name", FILES)
def test_files_of_each_camera(name: str) -> None:
    disk = disk_of(name)
    assert list(disk.nodes["FileSelector"].symbolics) == FILES[name].split()


def test_no_camera_is_forgotten() -> None:
    assert set(NAMES) - set(FILES) == {"acA4096-11gm", "acA4112-8gm"}  # as acA4096-40um


@pytest.mark.parametrize("size", [1, 511, 512, 513, 4096])
@pytest.mark.parametrize(("model", "file"), [(ACE, "UserData"), (GENERIC, "UserFile")])
def test_what_is_written_is_read(model: str, file: str, size: int) -> None:
    disk = disk_of(model)
    content = bytes(n * 7 % 251 for n in range(size))
    disk.write(file, content)
    assert disk.read(file) == content
    disk.nodes["FileSelector"].value = file
    assert disk.nodes["FileSize"].value == size


def test_a_file_that_is_too_large_is_as_it_was() -> None:
    disk = disk_of(ACE)
    disk.write("UserData", b"before")
    with pytest.raises((genapi.GenericException, Failed)):
        disk.write("UserData", bytes(4097))
    assert disk.read("UserData") == b"before"


def test_files_survive_power_cycles() -> None:
    kept: dict[str, Any] = {}
    disk_of(ACE, Options(save_user_sets=kept.update)).write("UserData", b"kept")
    assert disk_of(ACE, Options(user_sets=kept)).read("UserData") == b"kept"


def test_a_stored_file_that_was_edited_by_hand_is_empty() -> None:
    host = host_of(ACE, options=Options(user_sets={"File UserData": {"hex": "no digits"}}))
    host.set("FileSelector", "UserData")
    assert host.get("FileSize") == 0


def test_user_sets_travel_as_files() -> None:
    """A set saved in one camera is loaded in another."""
    one, other = disk_of(VCX), disk_of(VCX)
    for name, value in (("Gain", 6.0), ("UserSetSelector", "UserSet2")):
        one.nodes[name].value = value
    one.nodes["UserSetSave"].execute()
    other.write("UserSet2", one.read("UserSet2"))
    other.nodes["UserSetSelector"].value = "UserSet2"
    other.nodes["UserSetLoad"].execute()
    assert other.nodes["Gain"].value == 6.0


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"NoFeature": 1}', b'{"Gain": "much"}'])
def test_what_is_no_user_set_is_refused(content: bytes) -> None:
    disk = disk_of(VCX)
    before = dict(disk.camera.user_sets)
    with pytest.raises((genapi.GenericException, Failed)):
        disk.write("UserSet1", content)
    assert disk.camera.user_sets == before


# -- firmware -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [IDS, ACE])
def test_new_firmware_takes_effect_with_a_reset(name: str) -> None:
    kept: dict[str, Any] = {}
    disk = disk_of(name, Options(save_user_sets=kept.update))
    old = disk.nodes["DeviceFirmwareVersion"].value
    disk.write("FirmwareUpdate", build_firmware(name, "9.8.7"))
    assert disk.camera.features.get("DeviceFirmwareVersion") == old
    disk.camera.reset()
    assert disk.camera.features.get("DeviceFirmwareVersion") == "9.8.7"
    assert camera_of(name, options=Options(user_sets=kept)).features.get("DeviceFirmwareVersion") == "9.8.7"


def damaged(content: bytes) -> bytes:
    return content[:500] + bytes([content[500] ^ 1]) + content[501:]


@pytest.mark.parametrize(
    "content",
    [
        damaged(build_firmware(IDS, "9.8.7")),
        build_firmware(IDS, "9.8.7")[:-1],
        build_firmware(IDS, "9.8.7")[:1000],
        build_firmware(ACE, "9.8.7"),
        b"no firmware",
        b"",
    ],
)
def test_bad_firmware_is_refused_and_the_old_one_stays(content: bytes) -> None:
    disk = disk_of(IDS)
    old = disk.nodes["DeviceFirmwareVersion"].value
    with pytest.raises((genapi.GenericException, Failed)):
        disk.write("FirmwareUpdate", content)
    disk.camera.reset()
    assert disk.camera.features.get("DeviceFirmwareVersion") == old


@pytest.mark.parametrize("ends", ["host", "reset"])
def test_an_interrupted_update_changes_nothing(ends: str) -> None:
    """The host goes away, or the camera is reset, before the file is closed."""
    disk = disk_of(IDS)
    old = disk.nodes["DeviceFirmwareVersion"].value
    content = build_firmware(IDS, "9.8.7")
    disk._adapter.open_file("FirmwareUpdate", "w")
    disk._adapter.write(content, 0, "FirmwareUpdate")
    if ends == "host":
        disk.camera.configure(False, 1)
    disk.camera.reset()
    assert disk.camera.features.get("DeviceFirmwareVersion") == old
    disk.write("FirmwareUpdate", content)  # and can be done again
    disk.camera.reset()
    assert disk.camera.features.get("DeviceFirmwareVersion") == "9.8.7"


def test_firmware_files_say_what_is_wrong_with_them() -> None:
    good = build_firmware(IDS, "1.0")
    assert read_firmware(good, IDS) == "1.0"
    for content, message in (
        (b"abc", "no firmware file"),
        (damaged(good), "damaged"),
        (good[:-4], "damaged or not complete"),
        (build_firmware(ACE, "1.0"), f"for {ACE}, not for {IDS}"),
    ):
        with pytest.raises(Malformed, match=message):
            read_firmware(content, IDS)
    for version in ("", "x" * 128, "\xe4"):
        with pytest.raises(ValueError, match="version"):
            build_firmware(IDS, version)


# -- single operations ----------------------------------------------------------------------------------------


class Steps:
    """The features by hand: `do(operation)` tells how it ended."""

    def __init__(self, host: Host, file: str) -> None:
        self.host = host
        host.set("FileSelector", file)

    def do(self, operation: str, **settings: Value) -> tuple[str, int]:
        for name, value in settings.items():
            self.host.set(name, value)
        self.host.set("FileOperationSelector", operation)
        self.host.run("FileOperationExecute")
        return self.host.get("FileOperationStatus"), self.host.get("FileOperationResult")


def test_operations_that_make_no_sense_fail() -> None:
    """The write of the command succeeds: the status says what became of it."""
    steps = Steps(host_of(ACE), "UserData")
    failed, done = ("Failure", 0), ("Success", 0)
    assert steps.do("Close") == steps.do("Read") == steps.do("Write") == failed
    assert steps.do("Open", FileOpenMode="Write") == done
    assert steps.do("Open") == failed
    assert steps.do("Read", FileAccessLength=4) == failed
    assert steps.do("Write", FileAccessOffset=1) == failed  # a hole
    assert steps.do("Close") == failed  # so nothing of it is kept
    assert steps.do("Open") == done
    assert steps.do("Write", FileAccessOffset=0) == ("Success", 4)
    assert steps.do("Delete") == failed
    assert steps.do("Close") == done
    assert steps.host.get("FileSize") == 4
    assert steps.do("Open", FileOpenMode="ReadWrite") == done
    assert steps.do("Write", FileAccessOffset=4, FileAccessBuffer="61" * 512) == ("Success", 4)
    assert steps.do("Read", FileAccessOffset=2, FileAccessLength=500) == ("Success", 6)
    assert steps.host.get("FileAccessBuffer").startswith("000061616161" + "00")
    assert steps.do("Close") == done
    assert steps.do("Delete") == done
    assert steps.host.get("FileSize") == 0
    firmware = Steps(steps.host, "FirmwareUpdate")
    assert firmware.do("Open", FileOpenMode="Read") == failed
