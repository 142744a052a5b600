"""What holds for every camera there is: it opens, tells the truth about itself, and streams every pixel format."""

import random
import struct

import pytest

from tests.u3v.genicam_nodes import Nodes
from tests.u3v.rig import EIRM, MANIFEST, SBRM, SIRM, Host, PlainTiming, Refused, Room, picture
from tests.u3v.test_hostile import Attacker, mutated
from u3v.camera import Camera, Options
from u3v.features import Command, Integer, limit
from u3v.host import bus as usb
from u3v.host.client import U3VClient
from u3v.model import load_model, model_names
from u3v.usb3v.bootstrap import USB3_VISION, xml_text
from u3v.wire.pfnc import PIXEL_FORMATS

MODELS = pytest.mark.parametrize("model", model_names())


def power_on(model: str, paced: bool = True) -> Host:
    camera = Camera(load_model(model), PlainTiming(), Room(), USB3_VISION, Options(paced=paced))
    return Host(camera, paced=paced)


def shrink(camera: Camera, rows: int = 4) -> int:
    """The narrowest region, `rows` steps high; bytes of its payload."""
    for name, steps in (("Width", 1), ("Height", rows)):
        feature = camera.features.declared[name]
        assert isinstance(feature, Integer)
        low, inc = int(limit(camera, feature.min)), int(limit(camera, feature.inc))
        camera.features.set(name, low + inc * steps)
    return camera.wire_bytes


@MODELS
def test_opens(model: str) -> None:
    """With the reads of Aravis' open, and with this project's own client, which checks more."""
    host = power_on(model)
    names = [host.read(at, 64).rstrip(b"\0").decode() for at in (0x004, 0x044, 0x084, 0x144)]
    assert names == [host.camera.model.maker, model, host.camera.model.family, host.camera.options.serial]
    for at, count in ((0x1D8, 8), (0x1CC, 4), (0x1C4, 8), (0x1D0, 8), (MANIFEST, 8), (MANIFEST + 8, 64)):
        host.read(at, count)
    for at in (0, 4, *range(0x10, 0x30, 4)):
        host.read(SIRM + at, 4)
    assert host.read_int(SIRM + 8, 8) == host.get("PayloadSize") == host.camera.wire_bytes
    client = U3VClient(host.bus)
    client.open()
    assert client.xml().text.decode() == xml_text(host.camera)


@MODELS
def test_event_channel_is_there_or_not(model: str) -> None:
    """Capability bits, addresses, registers and XML agree on whether there are events."""
    host = power_on(model)
    has_events = bool(host.camera.family.events)
    assert bool(host.read_int(SBRM + 0x04, 8) & 2) == has_events
    assert bool(host.read_int(0x1C4, 8) & 1 << 2) == has_events
    assert host.read_int(SBRM + 0x2C, 8) == (EIRM if has_events else 0)
    assert host.read_int(SBRM + 0x34) == (12 if has_events else 0)
    assert ("EventNotification" in host.camera.features) == has_events
    configuration = usb.get_configuration_descriptor(host.bus)
    assert (bytes.fromhex("ef0501") in configuration) == has_events
    assert configuration[4] == (3 if has_events else 2)
    if not has_events:
        with pytest.raises(Refused, match="0x8003"):
            host.read(EIRM, 4)


@MODELS
@pytest.mark.parametrize("paced", [True, False])
def test_streams_every_pixel_format(model: str, paced: bool) -> None:
    host = power_on(model, paced)
    for name in host.camera.model.pixel_formats:
        shrink(host.camera)
        host.set("PixelFormat", name)
        payload = host.get("PayloadSize")
        bits = PIXEL_FORMATS[name].bits_per_pixel
        assert payload == -(-host.get("Width") * host.get("Height") * bits // 8)
        first = len(host.painted.exposures)
        host.start(1024)
        for block_id in range(3):
            frame = host.frame()
            assert (frame.block_id, frame.status, frame.valid) == (block_id, 0, payload)
            assert frame.size_y == host.get("Height")
            assert struct.unpack_from("<I", frame.leader, 28)[0] == PIXEL_FORMATS[name].code
            assert frame.payload == picture(first + block_id, payload)
        host.run("AcquisitionStop")
        host.write_int(SIRM + 4, 0)


@MODELS
def test_the_largest_frame(model: str) -> None:
    host = power_on(model)
    host.start(1 << 20)
    frame = host.frame(timeout_ms=5000)
    pixels = host.get("WidthMax") * host.get("HeightMax")
    assert len(frame.payload) == host.get("PayloadSize") >= 0.98 * pixels
    assert frame.timestamp == 0


@MODELS
def test_limits_hold_at_both_ends(model: str) -> None:
    """Every writable number takes its minimum and its maximum from GenApi, and nothing one step beyond."""
    camera = Camera(load_model(model), PlainTiming(), Room(), USB3_VISION)
    nodes = Nodes(camera)
    for feature in camera.features:
        if isinstance(feature, Integer) and feature.access == "RW" and not isinstance(feature, Command):
            node = nodes[feature.name]
            for value in (node.min, node.max):
                node.value = value
                assert camera.features.get(feature.name) == value, feature.name


@MODELS
def test_fuzzed(model: str) -> None:
    """Fewer cases than `test_hostile`, for each model."""
    camera = Camera(load_model(model), PlainTiming(), Room(), USB3_VISION)
    shrink(camera)
    attacker = Attacker(7, paced=True, camera=camera)
    for _ in range(3000):
        attacker.case()
        attacker.check()
    for packet in attacker.commands:
        attacker.gencp(mutated(random.Random(3), packet()))
    host = Host(function=attacker.function)
    host.bus.now_ns = camera.now_ns
    camera.reset()
    payload = shrink(camera)
    host.start(1024)
    frame = host.frame(timeout_ms=60_000)
    assert (frame.block_id, frame.status, len(frame.payload)) == (0, 0, payload)
