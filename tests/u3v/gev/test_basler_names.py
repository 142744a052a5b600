"""What acA firmware on Ethernet has under names of its own: chunks, and the bandwidth manager."""

import struct

import pytest

from tests.u3v.gev.host import CCP, SCPD, SCPS, Host
from tests.u3v.rig import MS
from u3v.features import Integer
from u3v.genapi import TL_PARAMS_LOCKED
from u3v.gev.bootstrap import WireOptions, xml_text

SCFTD, SCBWR, SCBWRA, SCBWA, SCDMT, SCDCT, SCFJM = range(0xA020, 0xA03C, 4)


def controlled(model: str = "acA4096-11gm") -> Host:
    host = Host(model, paced=True)
    assert host.write(CCP, 2) == 0
    return host


def chunks_of(host: Host) -> dict[int, bytes]:
    """Of the next frame, by their ids."""
    data = b"".join(packet.data for packet in host.blocks(1)[0] if packet.kind == 3)
    found, at = {}, len(data)
    while at:
        chunk_id, length = struct.unpack_from(">II", data, at - 8)
        at -= 8 + length
        found[chunk_id] = data[at : at + length]
    return found


def test_chunks_have_the_older_names() -> None:
    host = controlled()
    features = host.camera.features
    wanted = {
        "Stride": 64,
        "Framecounter": 0,
        "Triggerinputcounter": 0,
        "GainAll": 30,
        "DynamicRangeMax": 255,
    }
    assert {"FrameID", "Gain", "CounterValue"}.isdisjoint(features.declared["ChunkSelector"].entries)  # type: ignore[attr-defined]
    features.host_set("GainRaw", 30)
    features.host_set("ChunkModeActive", True)
    for name in (*wanted, "ExposureTime"):
        features.host_set("ChunkSelector", name)
        features.host_set("ChunkEnable", True)
    host.start()
    ids = {chunk.name: chunk.chunk_id for chunk in host.camera.chunks}
    chunks = chunks_of(host)
    assert set(chunks) == {ids[name] for name in ("Image", "ExposureTime", *wanted)}
    assert {name: int.from_bytes(chunks[ids[name]], "little") for name in wanted} == wanted
    assert struct.unpack("<d", chunks[ids["ExposureTime"]]) == (100.0,)
    xml = xml_text(host.camera, WireOptions())
    assert all(f'Name="Chunk{name}"' in xml for name in wanted) and 'Name="ChunkFrameID"' not in xml


def test_a_reserve_for_resends_slows_the_camera_down() -> None:
    """Basler prints 13.1 frames/s without one; the 11 of the model's name are what 10 % leave, and a bit."""
    host = controlled()
    for name, value in (("Width", 4096), ("Height", 2168)):
        host.camera.features.host_set(name, value)
    whole = host.camera.features.get("ResultingFrameRateAbs")
    assert host.read(SCBWR, SCBWRA) == [0, 10] and whole == pytest.approx(13.1, abs=0.06)
    assert host.write(SCBWR, 10) == 0
    assert host.camera.features.get("ResultingFrameRateAbs") == pytest.approx(whole / 1.1, rel=1e-3)
    assert host.write(SCBWR, 99) == 0 and host.write(SCBWRA, 0) == 0
    assert host.read(SCBWR, SCBWRA) == [50, 1]


def test_what_the_bandwidth_manager_tells() -> None:
    host = controlled()
    for name, value in (("Width", 4096), ("Height", 2168)):
        host.camera.features.host_set(name, value)
    assigned, most, current, jitter = host.read(SCBWA, SCDMT, SCDCT, SCFJM)
    assert assigned == pytest.approx(116e6 * 1500 / 1464, rel=1e-3) and jitter == 0
    assert current == pytest.approx(assigned, rel=0.01) and most > current
    assert host.write(SCPD, 12_000) == 0 and host.write(SCBWR, 20) == 0
    slower, _, _, jitter = host.read(SCBWA, SCDMT, SCDCT, SCFJM)
    assert slower == pytest.approx(1500e9 / ((1500e9 / assigned + 12_000) * 1.2), rel=1e-6)
    frame_ns = 4096 * 2168 / 1464 * 1500e9 / slower
    assert jitter == pytest.approx(frame_ns * 0.2 * 10, rel=1e-3)


def test_a_frame_may_be_sent_later() -> None:
    """So that several cameras behind one link take turns."""
    host = controlled()
    assert host.write(SCPS, 576) == 0 and host.write(SCFTD, 5 * MS) == 0
    host.start()
    while not host.packets():
        host.wait(MS // 10)
    exposed = host.painted.exposures[0].readout_start_ns
    assert 5 * MS <= host.now_ns - exposed <= 6 * MS


def test_the_baumer_has_none_of_it() -> None:
    host = controlled("VCXG-124M")
    xml = xml_text(host.camera, WireOptions.of(host.camera.model))
    assert TL_PARAMS_LOCKED in xml and "GevSCBWR" not in xml and "ChunkStride" not in xml


def test_auto_functions_have_the_older_names() -> None:
    """Of two areas the first one counts that is in use; the target is that of an 8-bit pixel."""
    host = controlled()
    features, auto = host.camera.features, host.camera.family.auto
    assert (
        auto is not None
        and auto.region(host.camera) == (0, 0, 4112, 2176)
        and auto.exposure_first(host.camera)
    )
    target = features.declared["AutoTargetValue"]
    assert isinstance(target, Integer) and (target.min, target.max) == (50, 205)
    features.host_set("AutoTargetValue", 100)
    features.host_set("AutoFunctionProfile", "ExposureMinimum")
    features.host_set("AutoFunctionAOIUsageIntensity", False, AutoFunctionAOISelector="AOI1")
    features.host_set("AutoFunctionAOIUsageIntensity", True, AutoFunctionAOISelector="AOI2")
    features.host_set("AutoFunctionAOIWidth", 110, AutoFunctionAOISelector="AOI2")
    assert auto.region(host.camera) == (0, 0, 110, 2176) and not auto.exposure_first(host.camera)
    assert auto.target(host.camera) == pytest.approx(100 / 255)
    xml = xml_text(host.camera, WireOptions())
    assert all(
        f'Name="{name}"' in xml for name in ("AutoTargetValue", "AutoFunctionAOISelector", "GainMinimum")
    )
    assert "AutoFunctionROI" not in xml and 'Name="AutoTargetBrightness"' not in xml
