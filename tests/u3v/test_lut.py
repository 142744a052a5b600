"""The look-up table and gamma, as GenApi writes them and as they reach the pixels."""

import struct

import pytest

from tests.u3v.genicam_nodes import Nodes, genapi
from tests.u3v.models import ACE, VCX, camera_of, host_of
from u3v.settings import tone_curve

IDENTITY = struct.pack("<4096H", *range(4096))


@pytest.mark.parametrize("model", [ACE, VCX])
def test_the_table_number_by_number(model: str) -> None:
    camera = host_of(model).camera
    nodes = Nodes(camera)
    assert camera.settings.curve == b""
    nodes["LUTEnable"].value = True
    assert camera.settings.curve == IDENTITY
    for index, value in ((0, 4095), (4095, 0), (77, 1234)):
        nodes["LUTIndex"].value = index
        assert nodes["LUTValue"].value == index
        nodes["LUTValue"].value = value
        assert nodes["LUTValue"].value == value
        assert struct.unpack_from("<H", camera.settings.curve, 2 * index) == (value,)
    for name in ("LUTIndex", "LUTValue"):
        with pytest.raises(genapi.OutOfRangeException):
            nodes[name].value = 4096
    camera.reset()
    nodes["LUTEnable"].value = True
    assert camera.settings.curve == IDENTITY


def test_the_table_as_a_file() -> None:
    camera = host_of(VCX).camera
    nodes = Nodes(camera)
    adapter = genapi.FileProtocolAdapter()
    assert adapter.attach(nodes.map.pointer)
    inverse = struct.pack("<4096H", *range(4095, -1, -1))
    for content, taken in ((inverse, True), (inverse[:-1], False), (b"\xff" * 8192, False)):
        adapter.open_file("LUTLuminance", "w")
        assert adapter.write(content, 0, "LUTLuminance") == len(content)
        assert adapter.close_file("LUTLuminance") is taken
    assert bytes.fromhex(camera.features.get("LUTValueAll")) == inverse


def test_gamma() -> None:
    camera = camera_of(ACE)
    camera.features.set("Gamma", 2.0)
    curve = struct.unpack("<4096H", camera.settings.curve)
    assert (curve[0], curve[4095]) == (0, 4095)
    assert curve[2048] == round(2048**2 / 4095)
    assert all(a <= b for a, b in zip(curve, curve[1:], strict=False))
    both = struct.unpack("<4096H", tone_curve(struct.pack("<4096H", *range(4095, -1, -1)), 2.0))
    assert both == curve[::-1]


def test_binning_averages_where_asked() -> None:
    camera = camera_of(ACE)
    for name, value in (("BinningHorizontal", 2), ("BinningVertical", 3), ("BinningVerticalMode", "Average")):
        camera.features.set(name, value)
    assert camera.settings.averages == 3
    camera.features.set("BinningHorizontalMode", "Average")
    assert camera.settings.averages == 6
