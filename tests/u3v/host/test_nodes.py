import sys

import pytest

from gadget.loopback import LoopbackBus
from tests.u3v.host.fake import EXPOSURE, FLIP, MONO12P, PIXEL_FORMAT, WIDTH, FakeCamera, device_xml, entry
from u3v.errors import GenCPError, Malformed, Status, U3VError
from u3v.host.client import U3VClient
from u3v.host.nodes import DeviceNodes, FeatureError, FeatureInfo


@pytest.fixture
def camera() -> FakeCamera:
    return FakeCamera()


def client_of(camera: FakeCamera) -> U3VClient:
    client = U3VClient(LoopbackBus(camera))
    client.open()
    return client


@pytest.fixture
def nodes(camera: FakeCamera) -> DeviceNodes:
    return DeviceNodes(client_of(camera))


def test_names_in_the_order_of_the_categories(nodes: DeviceNodes) -> None:
    assert nodes.names()[:5] == ["Width", "Height", "PixelFormat", "PayloadSize", "ExposureTime"]
    assert (nodes.has("Width"), nodes.has("Absent"), nodes.has("Nonsense")) == (True, False, False)


@pytest.mark.parametrize(
    ("name", "text", "value", "address", "raw"),
    [
        ("Width", "128", 128, WIDTH, "80 00 00 00"),
        ("Width", "0x100", 256, WIDTH, "00 01 00 00"),
        ("Width", 512.0, 512, WIDTH, "00 02 00 00"),
        ("ExposureTime", "1000.5", 1000.5, EXPOSURE, "00 00 00 00 00 44 8f 40"),
        ("PixelFormat", "Mono12p", "Mono12p", PIXEL_FORMAT, "47 00 0c 01"),
        ("Flip", "true", True, FLIP, "01 00 00 00"),
        ("Flip", True, True, FLIP, "01 00 00 00"),
    ],
)
def test_set_reaches_the_register_and_reads_back(
    camera: FakeCamera, nodes: DeviceNodes, name: str, text: str, value: object, address: int, raw: str
) -> None:
    nodes.set(name, text)
    assert nodes.get(name) == value
    assert camera.peek(address, len(bytes.fromhex(raw))) == bytes.fromhex(raw)


def test_values_the_camera_changes_are_read_again(camera: FakeCamera, nodes: DeviceNodes) -> None:
    assert nodes.get("PayloadSize") == 64 * 16
    nodes.set("PixelFormat", "Mono12p")
    assert camera.number(PIXEL_FORMAT) == MONO12P
    assert nodes.get("PayloadSize") == 64 * 16 * 3 // 2
    assert nodes.get("DeviceModelName") == "Fake One"


def test_commands(camera: FakeCamera, nodes: DeviceNodes) -> None:
    nodes.execute("AcquisitionStart")
    assert camera.acquiring
    nodes.set("AcquisitionStop", "")
    assert not camera.acquiring
    with pytest.raises(FeatureError, match=r"^Width is no command$"):
        nodes.execute("Width")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("Widht", 8, "the camera has no feature 'Widht', did you mean 'Width'?"),
        ("exposuretime", 8, "the camera has no feature 'exposuretime', did you mean 'ExposureTime'?"),
        ("Zzzz", 8, "the camera has no feature 'Zzzz'"),
        ("Width", 9, "Width = 9: must be 8 to 4096 px in steps of 8"),
        ("Width", -8, "Width = -8: must be 8 to 4096 px in steps of 8"),
        ("Width", "8000", "Width = 8000: must be 8 to 4096 px in steps of 8"),
        ("Width", "wide", "Width = wide: must be a whole number"),
        ("Width", 8.5, "Width = 8.5: must be a whole number"),
        ("ExposureTime", 5, "ExposureTime = 5: must be 10 to 1000000 us"),
        ("ExposureTime", "nan", "ExposureTime = nan: must be a number"),
        ("ExposureTime", "inf", "ExposureTime = inf: must be a number"),
        ("PixelFormat", "Mono12", "PixelFormat = Mono12: must be one of Mono8, Mono12p, did you mean 'Mono12p'?"),
        ("Flip", "maybe", "Flip = maybe: must be true or false"),
        (
            "DeviceModelName",
            "x",
            "DeviceModelName = x: cannot be written: it is read-only, or locked while the camera streams",
        ),
        ("Absent", 1, "Absent = 1: cannot be written: this camera does not implement it"),
    ],
)  # fmt: skip
def test_refusals_are_one_line_that_helps(
    camera: FakeCamera, nodes: DeviceNodes, name: str, value: object, message: str
) -> None:
    before = {base: bytes(block) for base, block in camera.space.items()}
    with pytest.raises(FeatureError) as error:
        nodes.set(name, value)  # type: ignore[arg-type]
    assert str(error.value) == message
    assert {base: bytes(block) for base, block in camera.space.items()} == before


def test_a_refusal_of_the_camera_keeps_its_status(nodes: DeviceNodes) -> None:
    with pytest.raises(GenCPError) as error:
        nodes.set("Locked", 1)
    assert error.value.status is Status.ACCESS_DENIED
    assert str(error.value).startswith("Locked = 1: the camera refuses the write of 4 bytes at 0x4002c")


def test_a_command_has_no_value(nodes: DeviceNodes) -> None:
    with pytest.raises(FeatureError, match=r"^AcquisitionStart is a command: it has no value$"):
        nodes.get("AcquisitionStart")
    with pytest.raises(FeatureError, match=r"^Absent cannot be read: this camera does not implement it$"):
        nodes.get("Absent")


def test_info(nodes: DeviceNodes) -> None:
    assert nodes.info("Width") == FeatureInfo("Width", "Integer", "RW", "px", 8, 4096, 8)
    assert nodes.info("ExposureTime") == FeatureInfo("ExposureTime", "Float", "RW", "us", 10.0, 1e6)
    assert nodes.info("PixelFormat").entries == ("Mono8", "Mono12p")
    assert nodes.info("Absent").access == "NI"


def test_xml_that_is_none(camera: FakeCamera) -> None:
    for file in (b"<nonsense/>", b"\xff\xfe\xff", device_xml()[:-20]):
        camera.set_files(file, entry(file, kind=0x01010000))
        with pytest.raises(Malformed, match=r"the camera's XML is refused: .") as error:
            DeviceNodes(client_of(camera))
        assert "\n" not in str(error.value)


def test_without_the_genicam_package(camera: FakeCamera, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "genicam.genapi", None)
    with pytest.raises(U3VError, match=r"need the Python package 'genicam' \(pip install genicam\)"):
        DeviceNodes(client_of(camera))
