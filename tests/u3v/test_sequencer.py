"""The sequencer: sets saved by a host, and the frames that come of them."""

from typing import Any

import pytest

from tests.u3v.genicam_nodes import Nodes, genapi
from tests.u3v.models import ACE, VCX, host_of
from tests.u3v.rig import Host, Refused, line_edge
from u3v.edges import Edge

SMALL = {"Width": 64, "Height": 48}


def program(host: Host, sets: list[dict[str, Any]], start: int = 0) -> None:
    """Save these sets: feature values, and under "paths" (source, next) for each path. Then switch it on."""
    host.set("SequencerConfigurationMode", "On")
    for number, values in enumerate(sets):
        for name, value in values.items():
            if name != "paths":
                host.set(name, value)
        for path, (source, following) in enumerate(values["paths"]):
            host.set("SequencerPathSelector", path)
            host.set("SequencerTriggerSource", source)
            host.set("SequencerSetNext", following)
        host.set("SequencerSetSelector", number)
        host.run("SequencerSetSave")
    host.set("SequencerSetStart", start)
    host.set("SequencerConfigurationMode", "Off")
    host.set("SequencerMode", "On")


def exposures_of(host: Host, count: int) -> list[float]:
    host.start()
    for _ in range(count):
        host.frame(timeout_ms=5000)
    return [exposure.settings.exposure_us for exposure in host.painted.exposures[:count]]


def ring(times_us: list[float], source: str) -> list[dict[str, Any]]:
    """Sets with these exposure times; each frame leads on to the next."""
    count = len(times_us)
    return [{"ExposureTime": us, "paths": [(source, (n + 1) % count)]} for n, us in enumerate(times_us)]


@pytest.mark.parametrize(("model", "source"), [(ACE, "FrameStart"), (VCX, "ExposureActive")])
def test_bracketing(model: str, source: str) -> None:
    """High dynamic range in three exposures, again and again."""
    host = host_of(model, SMALL)
    times = [100.0, 1000.0, 5000.0]
    program(host, ring(times, source))
    assert exposures_of(host, 9) == times * 3


def test_as_many_sets_as_the_sheet_has() -> None:
    host = host_of(VCX, SMALL)
    times = [100.0 + n for n in range(128)]
    program(host, ring(times, "ExposureActive"))
    assert exposures_of(host, 130) == [*times, 100.0, 101.0]
    for name, bad in (("SequencerSetSelector", 128), ("SequencerSetNext", 128), ("SequencerPathSelector", 4)):
        with pytest.raises(Refused, match="0x8002"):
            host.set(name, bad)


def test_lines_lead_along_four_paths() -> None:
    """Each input line leads to a set of its own, from wherever the camera is."""
    host = host_of(VCX, SMALL)
    paths = [("Line0", 0), ("Line1", 1), ("Line2", 2), ("Off", 3)]
    program(host, [{"Gain": float(n), "paths": paths} for n in range(3)])
    now = host.bus.now_ns
    for number in (2, 0, 1, 1, 2):
        line_edge(host.camera, f"Line{number}", Edge.RISING, now)
        assert host.get("SequencerSetActive") == number
        assert host.get("Gain") == float(number)
        line_edge(host.camera, f"Line{number}", Edge.FALLING, now)
        assert host.get("SequencerSetActive") == number


def test_a_set_holds_what_the_sheet_names() -> None:
    host = host_of(VCX, SMALL)
    first = {"ExposureTime": 500.0, "Gain": 3.0, "Height": 32, "OffsetX": 16, "OffsetY": 4, "Width": 32}
    host.set("BlackLevel", 10.0)
    program(host, [{**first, "paths": []}])
    host.set("SequencerMode", "Off")
    for name, value in (("Gain", 9.0), ("Height", 16), ("BlackLevel", 20.0)):
        host.set(name, value)
    host.set("SequencerMode", "On")
    assert {name: host.get(name) for name in first} == first
    assert host.get("BlackLevel") == 20.0  # it is not among them


def test_a_set_whose_region_has_become_too_large_changes_nothing() -> None:
    """It was saved without binning; the picture it asks for is larger than the binned sensor."""
    host = host_of(ACE)
    whole = host.get("Width")
    program(host, [{"Gain": 5.0, "paths": []}])
    host.set("SequencerMode", "Off")
    host.set("Gain", 1.0)
    host.set("BinningHorizontal", 2)
    binned = host.get("Width")
    host.set("SequencerMode", "On")
    assert (host.get("Width"), host.get("Gain")) == (binned, 1.0)
    assert host.get("Width") <= host.get("WidthMax")
    host.set("SequencerMode", "Off")
    host.set("BinningHorizontal", 1)
    host.set("SequencerMode", "On")
    assert (host.get("Width"), host.get("Gain")) == (whole, 5.0)


def test_genapi_sees_when_sets_can_be_saved() -> None:
    camera = host_of(ACE).camera
    nodes = Nodes(camera)
    with pytest.raises(genapi.AccessException):
        nodes["SequencerSetSave"].execute()
    nodes["SequencerConfigurationMode"].value = "On"
    nodes["SequencerSetSave"].execute()
    with pytest.raises(genapi.AccessException):
        nodes["SequencerMode"].value = "On"
    nodes["SequencerConfigurationMode"].value = "Off"
    nodes["SequencerMode"].value = "On"
    with pytest.raises(genapi.AccessException):
        nodes["SequencerConfigurationMode"].value = "On"


def test_chunks_tell_the_set() -> None:
    host = host_of(ACE, SMALL)
    program(host, ring([100.0, 200.0], "FrameStart"))
    host.set("ChunkEnable", True, ChunkSelector="SequencerSetActive")
    host.set("ChunkModeActive", True)
    host.start()
    seen = [int.from_bytes(host.frame().payload[-12:-8], "little") for _ in range(4)]
    assert seen == [0, 1, 0, 1]


def test_a_reset_forgets_all_sets() -> None:
    host = host_of(ACE, SMALL)
    program(host, [{"Gain": 5.0, "paths": []}])
    host.camera.reset()
    assert host.camera.features.get("SequencerMode") == "Off"
    host.camera.sequencer.load()
    assert host.camera.features.get("Gain") == 0.0
