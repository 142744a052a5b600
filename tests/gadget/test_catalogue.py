"""The models as a person meets them: on the command line, from files of their own, with pixels."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from frames.packing import unpack
from frames.sensor import SensorError
from gadget.catalogue import find_model
from gadget.cli.main import cli
from gadget.loopback import LoopbackBus
from gadget.runner import CameraSpec, build
from u3v.errors import ModelError
from u3v.host.client import U3VClient
from u3v.host.nodes import DeviceNodes
from u3v.model import load_model, model_names
from u3v.wire.pfnc import PIXEL_FORMATS

TOP = Path(__file__).parent.parent.parent
IDS_FILE = TOP / "u3v/models/ids_imx412.toml"
SENSOR_FILE = TOP / "frames/sensors/imx412.toml"


def u3v(*arguments: str) -> str:
    result = CliRunner().invoke(cli, list(arguments), standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.output


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A model file of one's own: the IDS camera with another name and narrower."""
    text = IDS_FILE.read_text("utf-8").replace('name = "IDS-IMX412"', 'name = "Mine"')
    path = tmp_path / "mine.toml"
    path.write_text(text.replace("width_default_px = { value = 4056", "width_default_px = { value = 2400"))
    return path


def test_models_are_listed_with_their_wire() -> None:
    header, *lines = u3v("models").splitlines()
    assert header.split() == ["MODEL", "MAKER", "PIXELS", "FPS", "SENSOR", "WIRE"]
    assert [line.split()[0] for line in lines] == model_names()
    assert len(lines) == 6
    for line, name in zip(lines, model_names(), strict=True):
        assert line.endswith(load_model(name).wire_text)
    assert sum("GigE Vision" in line and "served over USB3 Vision" in line for line in lines) == 3


@pytest.mark.parametrize("name", model_names())
def test_show_prints_every_figure_with_label_and_source(name: str) -> None:
    out = u3v("show", name)
    model = load_model(name)
    assert out.startswith(model.title)
    assert model.wire_text in out
    for key, figure in model.sheet().items():
        (line,) = [line for line in out.splitlines() if line.split()[:1] == [key]]
        assert line.split()[2] == figure.kind
        assert line.endswith(figure.source)
    shown = json.loads(u3v("show", name, "--json"))
    assert set(shown["figures"]) == set(model.sheet())


def test_a_model_file_of_ones_own(own: Path) -> None:
    model, sensor = find_model("mine", [own])
    assert (model.name, model.integer("width_default_px"), sensor.name) == ("Mine", 2400, "IMX412")
    assert "(Mine, USB3)" in u3v("show", "--model-file", str(own))
    assert u3v("models", "--model-file", str(own)).splitlines()[-1].startswith("Mine ")
    assert 'ModelName="Mine"' in u3v("xml", "--model-file", str(own))
    built = build(CameraSpec("Mine", model_files=(own,)), "1")
    assert built.camera.features.get("Width") == 2400


def test_a_model_file_can_bring_its_sensor(own: Path) -> None:
    text = own.read_text("utf-8")
    own.write_text(text.replace('sensor = "IMX412"', 'sensor = "chip.toml"'))
    with pytest.raises(SensorError, match=r"chip\.toml: No such file or directory$"):
        find_model("Mine", [own])
    chip = SENSOR_FILE.read_text("utf-8").replace('name = "IMX412"', 'name = "Chip"')
    own.with_name("chip.toml").write_text(chip)
    assert find_model("Mine", [own])[1].name == "Chip"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('features = "ids"', 'features = "isd"', "'isd' is not one of ace, generic, ids, vcx, did you mean 'ids'?"),
        ('wire = "USB3', 'wire = "USB2', "wire: 'USB2 Vision' is not one of USB3 Vision, GigE Vision"),
        ("binning_joint", "bining_joint", "figures.bining_joint: unknown key, did you mean 'binning_joint'?"),
        ("{ value = 4056", "{ value = -1", "figures.width_max_px.value: is -1, must be above zero"),
        ("{ value = 4056", "{ value = 4.5", "figures.width_max_px.value: is 4.5, must be a whole number"),
        ("{ value = 4056", "{ value = 2000", "figures.width_default_px.value: is 2400, above width_max_px (2000)"),
        ("increment_px = { value = 12", "increment_px = { value = 7", "is 2400, not 24 and a multiple of 7"),
        ('sfnc_version = "2.3"', 'sfnc_version = "two"', "identity.sfnc_version: must be two numbers, such as 2.4"),
        ('maker = "IDS"', f'maker = "{"I" * 64}"', "maker: has 64 characters, the register takes 63"),
        ('source = "data sheet" }', 'source = "" }', ".source: must say where the figure comes from"),
    ],
)  # fmt: skip
def test_mistakes_in_a_model_file(own: Path, old: str, new: str, says: str) -> None:
    text = own.read_text("utf-8")
    assert old in text
    own.write_text(text.replace(old, new, 1))
    with pytest.raises(ModelError) as caught:
        find_model("Mine", [own])
    message = str(caught.value)
    assert says in message
    assert message.startswith(f"{own}: ") and "\n" not in message


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("width_max_px = { value = 4056", "width_max_px = { value = 4068",
         "figures.width_max_px.value: is 4068, sensor IMX412 has 4056"),
        ("height_max_px = { value = 3040", "height_max_px = { value = 3048",
         "figures.height_max_px.value: is 3048, sensor IMX412 has 3040"),
        ("binning_max = { value = 2", "binning_max = { value = 8",
         "figures.binning_max.value: is 8, the sensor engine adds up to 4"),
        ('"BayerGR12g24IDS"', '"BayerRG8"', "pixel_formats: BayerRG8: sensor IMX412 has the Bayer pattern GR"),
        ('sensor = "IMX412"', 'sensor = "IMX304"', "figures.height_max_px.value: is 3040, sensor IMX304 has 3008"),
    ],
)  # fmt: skip
def test_u6_a_camera_that_wants_more_than_its_sensor_has(own: Path, old: str, new: str, says: str) -> None:
    text = own.read_text("utf-8")
    assert old in text
    own.write_text(text.replace(old, new))
    with pytest.raises(ModelError) as caught:
        find_model("Mine", [own])
    assert str(caught.value) == f"Mine: {says}"


def test_a_model_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"No such file or directory$"):
        find_model("x", [tmp_path / "none.toml"])
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe4"')
    with pytest.raises(ModelError, match=r"is not UTF-8 text$"):
        find_model("x", [tmp_path / "latin.toml"])


@pytest.mark.parametrize("name", model_names())
@pytest.mark.parametrize("last", [False, True])
def test_pixels_of_every_model_over_its_wire(name: str, last: bool) -> None:
    """First and last pixel format: in the dark, values lie at the sensor's black level."""
    pixel_format = load_model(name).pixel_formats[-1 if last else 0]
    settings = {"Width": "240", "Height": "64", "PixelFormat": pixel_format}
    virtual = build(CameraSpec(name, scene="uniform:photons=0", settings=settings), "40000001")
    bus = LoopbackBus(virtual.function)
    client = U3VClient(bus)
    client.open()
    nodes = DeviceNodes(client)
    size = nodes.get("PayloadSize")
    client.write(0x20018, struct.pack("<6I", 1024, size, 1, 0, 0, 1024))
    client.write(0x20004, struct.pack("<I", 1))
    nodes.execute("AcquisitionStart")
    leader, payload, trailer = bytearray(1024), bytearray(size), bytearray(1024)
    lengths = [bus.bulk_in_into(0x83, buffer, 5000) for buffer in (leader, payload, trailer)]
    assert lengths == [52, size, 32]
    code, width, height = struct.unpack_from("<3I", leader, 28)
    assert (code, width, height) == (PIXEL_FORMATS[pixel_format].code, 240, 64)
    values = unpack(np.frombuffer(payload, np.uint8), 240 * 64, pixel_format)
    mean12 = values.mean() * 2 ** (12 - PIXEL_FORMATS[pixel_format].depth)
    assert mean12 == pytest.approx(virtual.pixels.source.sensor.black_level_dn12, abs=8)


@pytest.mark.parametrize("pixel_format", load_model("U3V-Color").pixel_formats)
def test_a_frame_buffer_takes_whole_frames_of_every_format(pixel_format: str) -> None:
    """RGB8 has three bytes per pixel, where two were the most."""
    built = build(CameraSpec("U3V-Color", settings={"PixelFormat": pixel_format}), "1")
    built.pixels.prepare()
    assert built.camera.wire_bytes == 1440 * 1080 * PIXEL_FORMATS[pixel_format].bits_per_pixel // 8
