"""The reference GenApi reads every node of every model and agrees with the device on what may be set."""

import pytest

from tests.u3v.genicam_nodes import Access, Nodes
from tests.u3v.models import IDS, NAMES, VCX, camera_of
from tests.u3v.rig import on_usb
from tests.u3v.test_genapi import assert_access_agrees, assert_limits_agree


@pytest.mark.parametrize("name", NAMES)
def test_every_node(name: str) -> None:
    camera = on_usb(camera_of(name))
    nodes = Nodes(camera)
    assert {feature.name for feature in camera.features} <= set(nodes.names())
    read = 0
    for feature in camera.features:
        node = nodes[feature.name]
        if node.get_access_mode() in (Access.RO, Access.RW) and hasattr(node, "to_string"):
            assert isinstance(node.to_string(), str), feature.name
            read += 1
    assert read > 40
    assert_access_agrees(camera, nodes)
    assert_limits_agree(camera, nodes)


def test_what_follows_is_not_taken_from_the_cache() -> None:
    """Joint binning, the exposure's range, the entry of a list: GenApi reads them again."""
    camera = on_usb(camera_of(IDS))
    nodes = Nodes(camera)
    read = ("BinningVertical", "Width", "Height", "PayloadSize")
    assert [nodes[n].value for n in read] == [1, 4056, 3040, 15_412_800]
    nodes["BinningHorizontal"].value = 2
    assert [nodes[n].value for n in read] == [2, 2028, 1520, 3_853_200]
    camera = on_usb(camera_of(VCX))
    nodes = Nodes(camera)
    nodes["ShortExposureTimeEnable"].value = True
    nodes["ExposureTime"].value = 1
    assert nodes["ExposureTime"].value == 1
    nodes["ShortExposureTimeEnable"].value = False
    assert nodes["ExposureTime"].value == 15
    camera.features.set("DefectPixelListEntryPosX", 70, DefectPixelListIndex=7)
    nodes["DefectPixelListIndex"].value = 8
    assert nodes["DefectPixelListEntryPosX"].value == 0
    nodes["DefectPixelListIndex"].value = 7
    assert nodes["DefectPixelListEntryPosX"].value == 70
