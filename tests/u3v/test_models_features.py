"""A model has what its camera has, under its maker's names, and nothing else; over the wire."""

import re
from typing import Any

import pytest

from tests.u3v.models import ACE, ACE_8, ACE_11, GENERIC, IDS, NAMES, VCX, camera_of, host_of
from tests.u3v.rig import EIRM, SBRM, SI_REQUIRED_PAYLOAD, Refused
from u3v.camera import Options
from u3v.features import Enumeration
from u3v.host.descriptors import find_function
from u3v.model import load_model
from u3v.usb3v.bootstrap import xml_text
from u3v.usb3v.function import UsbFunction
from u3v.wire.usb import Speed

ABSENT = {
    IDS: "Chunk Event Sequencer Auto LUT Gamma Counter Timer LineDebouncer UserOutput BlackLevel TestImage "
    "Decimation UserSetSave AcquisitionFrameRate TriggerDelay TriggerActivation",
    VCX: "Gamma TestImage TestEvent Burst ThroughputLimitMode",
    ACE: "ShortExposure ReadoutMode DefectPixel GainSelector",
    ACE_11: "ShortExposure ReadoutMode DefectPixel",
    ACE_8: "ShortExposure ReadoutMode DefectPixel",
    GENERIC: "Sequencer Auto LUT Gamma Counter Timer Line ShortExposure ReadoutMode DefectPixel TestImage "
    "Overtrigger TemperatureStatus DeviceID",
}
PRESENT = {
    IDS: "FileSelector "
    "Width Height OffsetX OffsetY BinningHorizontal BinningVertical ReverseX ReverseY PixelFormat Gain "
    "ExposureTime TriggerMode TriggerSoftware ResultingFrameRate PayloadSize",
    VCX: "ExposureAuto GainAuto BrightnessAutoPriority LUTValue SequencerMode ChunkModeActive FileSelector CustomData "
    "ActionGroupKey "
    "ShortExposureTimeEnable AcquisitionFrameRateEnable AcquisitionFrameRate TriggerOverlap TriggerDelay "
    "ReadoutMode BlackLevel GainSelector DefectPixelCorrection DefectPixelListIndex EventSelector UserSetDefault "
    "AcquisitionFrameCount",
    ACE: "ExposureAuto GainAuto Gamma LUTValue SequencerMode ChunkModeActive FileSelector BinningHorizontalMode "
    "UserDefinedValue "
    "BlackLevel TestImageSelector AcquisitionBurstFrameCount DeviceLinkThroughputLimitMode TestEventGenerate",
    ACE_11: "BlackLevel TestImageSelector AcquisitionBurstFrameCount DeviceLinkThroughputLimitMode",
    ACE_8: "BlackLevel TestImageSelector AcquisitionBurstFrameCount DeviceLinkThroughputLimitMode",
    GENERIC: "ChunkModeActive FileSelector "
    "Width PixelFormat PixelColorFilter Gain GainSelector BlackLevel BlackLevelSelector ExposureTime "
    "AcquisitionFrameRateEnable AcquisitionFrameRate TriggerSelector TriggerSoftware TestPattern UserSetSave "
    "UserSetDefault EventSelector TestEventGenerate DeviceLinkThroughputLimit DeviceTemperature PayloadSize",
}


def entries(name: str, feature: str) -> list[str]:
    declared = camera_of(name).features.declared[feature]
    assert isinstance(declared, Enumeration)
    return list(declared.entries)


@pytest.mark.parametrize("name", NAMES)
def test_what_there_is_and_is_not(name: str) -> None:
    camera = camera_of(name)
    assert set(PRESENT[name].split()) <= set(camera.features.declared)
    for word in ABSENT[name].split():
        assert [f for f in camera.features.declared if word in f] == []
        assert f'Name="{word}' not in re.sub("<EnumEntry.*", "", xml_text(camera))


@pytest.mark.parametrize(
    ("name", "formats"),
    [
        (ACE, "Mono8 Mono10 Mono10p Mono12 Mono12p"),
        (IDS, "BayerGR10g40IDS BayerGR12g24IDS"),
        (ACE_11, "Mono8 Mono12 Mono12p"),
        (ACE_8, "Mono8 Mono12 Mono12p"),
        (VCX, "Mono8 Mono10 Mono12 Mono12p"),
        (GENERIC, "BayerRG8 BayerRG12p RGB8"),
    ],
)
def test_pixel_formats(name: str, formats: str) -> None:
    assert entries(name, "PixelFormat") == formats.split()


@pytest.mark.parametrize("name", NAMES)
def test_a_model_says_what_it_is(name: str) -> None:
    host = host_of(name)
    model = load_model(name)
    assert host.get("DeviceModelName") == model.name == name
    assert host.get("DeviceVendorName") == model.maker
    assert host.get("VirtualWire") == model.wire_text
    gige = model.wire != "USB3 Vision"
    assert ("served over USB3 Vision" in model.wire_text) == gige
    assert ("GigE" in host.get("DeviceManufacturerInfo")) == gige
    sfnc = (host.get("DeviceSFNCVersionMajor"), host.get("DeviceSFNCVersionMinor"))
    assert sfnc == {VCX: (2, 4), GENERIC: (2, 7)}.get(name, (2, 3))


VCX_EVENTS = (
    "DeviceTemperatureStatusChanged EventLost ExposureEnd ExposureStart FrameEnd FrameStart FrameTransferSkipped"
    " GigEVisionError GigEVisionHeartbeatTimeout PrimaryApplicationSwitch Line0FallingEdge Line1FallingEdge"
    " Line2FallingEdge Line0RisingEdge Line1RisingEdge Line2RisingEdge TransferBufferFull TransferBufferReady"
    " TriggerOverlapped TriggerReady TriggerSkipped"
)
VCX_SEQUENCED = (
    "ExposureTime CounterDuration CounterEventActivation CounterEventSource CounterResetSource ExposureMode Gain Height"
    " OffsetX OffsetY TriggerMode UserOutputValue UserOutputValueAll Width"
)
VCX_SEQUENCER_SOURCES = "Counter1End Counter2End ExposureActive Line0 Line1 Line2 ReadoutActive Timer1End"
"""Lists of the Baumer data sheet, whole."""


def test_the_baumer_sheets_lists_both_ways() -> None:
    """Nothing of the sheet is missing, and nothing is there that it does not name."""
    assert sorted(entries(VCX, "EventSelector")) == sorted(VCX_EVENTS.split())
    assert sorted(camera_of(VCX).family.sequenced) == sorted(VCX_SEQUENCED.split())
    assert sorted(entries(VCX, "SequencerTriggerSource")) == sorted(["Off", *VCX_SEQUENCER_SOURCES.split()])
    assert set(VCX_SEQUENCED.split()) <= set(camera_of(VCX).features.declared)


CATEGORIES = {
    IDS: "ChunkDataControl EventControl SequencerControl LUTControl AutoFunctionControl CounterAndTimerControl",
    GENERIC: "SequencerControl LUTControl AutoFunctionControl ActionControl CustomDataControl",
    ACE: "ActionControl CustomDataControl ImageProcessingControl",
    VCX: "UserDefinedValueControl SoftwareSignalControl",
}
"""What a camera has nothing of, by category."""


@pytest.mark.parametrize("name", CATEGORIES)
def test_categories_that_a_camera_has_not(name: str) -> None:
    there = {feature.category for feature in camera_of(name).features}
    assert there.isdisjoint(CATEGORIES[name].split())


# -- IDS ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pixel_format", "code", "payload"),
    [("BayerGR10g40IDS", 0x40000003, 15_412_800), ("BayerGR12g24IDS", 0x40000013, 18_495_360)],
)
def test_ids_payload_is_not_in_the_codes(pixel_format: str, code: int, payload: int) -> None:
    """Bits 16..23 are 0 in these codes: whoever derives the size from them gets 0 bytes."""
    host = host_of(IDS)
    host.write_int(host.address("PixelFormat"), code)
    assert host.get("PixelFormat") == pixel_format
    assert code >> 16 & 0xFF == 0
    assert host.get("PayloadSize") == host.read_int(SI_REQUIRED_PAYLOAD, 8) == payload
    assert host.get("PixelSize") == ("Bpp10" if "10g" in pixel_format else "Bpp12")


def test_ids_payload_at_every_width() -> None:
    """Widths go in steps of 12: lines of both formats end on bytes, so the payload is exact."""
    host = host_of(IDS)
    host.set("Height", 32)
    for pixel_format, bits in (("BayerGR10g40IDS", 10), ("BayerGR12g24IDS", 12)):
        host.set("PixelFormat", pixel_format)
        for width in range(24, 4057, 12):
            host.camera.features.set("Width", width)
            assert width * bits % 8 == 0
            assert host.get("PayloadSize") == width * 32 * bits // 8


@pytest.mark.parametrize(
    ("feature", "good", "bad"),
    [
        ("Width", [24, 36, 4056], [0, 12, 23, 25, 30, 4057, 4068]),
        ("Height", [32, 40, 3040], [0, 24, 31, 33, 36, 3044, 3048]),
    ],
)
def test_ids_sizes(feature: str, good: list[int], bad: list[int]) -> None:
    host = host_of(IDS)
    for value in good:
        host.set(feature, value)
    for value in bad:
        with pytest.raises(Refused, match="0x8002"):
            host.set(feature, value)
    assert host.get(feature) == good[-1]


def test_ids_position_grid() -> None:
    host = host_of(IDS, {"Width": 24, "Height": 32})
    for feature, step, last in (("OffsetX", 2, 4032), ("OffsetY", 4, 3008)):
        for value in (step, 3 * step, last):
            host.set(feature, value)
        for value in (1, step + 1, step // 2, last + step):
            with pytest.raises(Refused, match="0x8002"):
                host.set(feature, value)
        assert host.get(feature) == last


@pytest.mark.parametrize("feature", ["BinningHorizontal", "BinningVertical"])
def test_ids_binning_is_joint(feature: str) -> None:
    host = host_of(IDS)
    host.set(feature, 2)
    read = ("BinningHorizontal", "BinningVertical", "WidthMax", "HeightMax", "Width", "Height")
    assert [host.get(n) for n in read] == [2, 2, 2028, 1520, 2028, 1520]
    with pytest.raises(Refused, match="0x8002"):
        host.set(feature, 3)
    host.set(feature, 1)
    assert [host.get(n) for n in read[:4]] == [1, 1, 4056, 3040]


def test_ids_exposure_range() -> None:
    host = host_of(IDS)
    for value in (32.0, 1_900_000.0):
        host.set("ExposureTime", value)
    for value in (31.9, 1_900_001.0):
        with pytest.raises(Refused, match="0x8002"):
            host.set("ExposureTime", value)


def test_ids_flips_keep_the_pixel_format() -> None:
    """The format says GR whatever is mirrored: cells of 2 x 2 pixels change places (see `frames.source`)."""
    host = host_of(IDS)
    for feature in ("ReverseX", "ReverseY"):
        host.set(feature, True)
        assert host.get("PixelFormat") == "BayerGR10g40IDS"


def test_ids_gain_is_a_factor() -> None:
    camera = camera_of(IDS)
    assert camera.settings.gain_db == 0
    camera.features.set("Gain", 10.0)
    assert camera.settings.gain_db == pytest.approx(20)


def test_ids_has_no_event_channel() -> None:
    """Not in the capabilities, not in the descriptors, not in memory."""
    host = host_of(IDS)
    assert host.read_int(SBRM + 0x04, 8) == 1
    assert host.read_int(0x1C4, 8) & 1 << 2 == 0
    with pytest.raises(Refused, match="0x8003"):
        host.read(EIRM, 4)
    for speed in (Speed.SUPER, Speed.HIGH):
        raw = host.function.descriptors(speed).configuration
        assert (raw[4], raw[12]) == (2, 2)  # bNumInterfaces, bInterfaceCount of the association
        assert int.from_bytes(raw[2:4], "little") == len(raw)
        assert bytes.fromhex("09 04 01 00 01 ef 05 02 00") in raw
        assert find_function(raw).event_in is None
    host.run("AcquisitionStart")  # events have nowhere to go
    host.bus.run(10_000_000)
    assert host.function.event.dropped == 0


# -- Baumer -------------------------------------------------------------------------------------------------


def test_vcx_factory_defaults() -> None:
    """Free running, 4 ms, 0 dB, offset 0, Mono8, partial scan off, defect pixels corrected, source All."""
    host = host_of(VCX)
    defaults: dict[str, Any] = {
        "TriggerMode": "Off",
        "ExposureTime": 4000.0,
        "Gain": 0.0,
        "BlackLevel": 0.0,
        "PixelFormat": "Mono8",
        "Width": 4096,
        "Height": 3000,
        "DefectPixelCorrection": True,
        "TriggerSource": "All",
        "UserSetSelector": "UserSet0",
        "AcquisitionFrameRateEnable": False,
    }
    assert {name: host.get(name) for name in defaults} == defaults


def test_vcx_short_exposures_must_be_enabled() -> None:
    host = host_of(VCX)
    host.set("ExposureTime", 15.0)
    with pytest.raises(Refused, match="0x8002"):
        host.set("ExposureTime", 14.0)
    host.set("ShortExposureTimeEnable", True)
    host.set("ExposureTime", 1.0)
    with pytest.raises(Refused, match="0x8002"):
        host.set("ExposureTime", 0.9)
    host.set("ShortExposureTimeEnable", False)
    assert host.get("ExposureTime") == 15.0
    host.set("ExposureTime", 60_000_000.0)
    with pytest.raises(Refused, match="0x8002"):
        host.set("ExposureTime", 60_000_001.0)


def test_vcx_exposures_are_whole_microseconds() -> None:
    host = host_of(VCX)
    for asked, got in ((100.0, 100.0), (100.9, 100.0), (33333.333, 33333.0)):
        host.set("ExposureTime", asked)
        assert host.get("ExposureTime") == got


@pytest.mark.parametrize(
    ("feature", "good", "bad"),
    [
        ("Width", [16, 32, 4096], [0, 8, 17, 4112]),
        ("Height", [1, 2, 3000], [0, 3001]),
        ("AcquisitionFrameRate", [0.01, 65535.0], [0.009, 65536.0]),
        ("TriggerDelay", [0.0, 2_000_000.0], [-1.0, 2_000_001.0]),
        ("Gain", [0.0, 48.0], [48.1]),
        ("BlackLevel", [0.0, 255.0], [256.0]),
        ("BinningHorizontal", [2, 1], [0, 3]),
    ],
)
def test_vcx_ranges(feature: str, good: list[Any], bad: list[Any]) -> None:
    host = host_of(VCX)
    for value in good:
        host.set(feature, value)
        assert host.get(feature) == value
    for value in bad:
        with pytest.raises(Refused, match="0x8002"):
            host.set(feature, value)


def test_vcx_user_sets() -> None:
    """UserSet0 is the factory's and read-only, UserSet1 to 3 are free."""
    host = host_of(VCX)
    assert entries(VCX, "UserSetSelector") == ["UserSet0", "UserSet1", "UserSet2", "UserSet3"]
    with pytest.raises(Refused, match="0x8006"):
        host.run("UserSetSave")
    host.set("Gain", 6.0)
    host.set("UserSetSelector", "UserSet3")
    host.run("UserSetSave")
    host.set("UserSetSelector", "UserSet0")
    host.run("UserSetLoad")
    assert host.get("Gain") == 0.0
    host.set("UserSetSelector", "UserSet3")
    host.run("UserSetLoad")
    assert host.get("Gain") == 6.0


def test_vcx_defect_pixel_list() -> None:
    """512 entries, each with its own coordinates; what a host writes survives a reset and a power cycle at once."""
    kept: dict[str, Any] = {}
    host = host_of(VCX, options=Options(save_user_sets=kept.update))
    read = ("DefectPixelListEntryPosX", "DefectPixelListEntryPosY", "DefectPixelListEntryActive")
    for index in (0, 1, 511):
        host.set("DefectPixelListIndex", index)
        assert [host.get(n) for n in read] == [0, 0, False]
        for name, value in zip(read, (index + 10, 20, True), strict=True):
            host.set(name, value)
    with pytest.raises(Refused, match="0x8002"):
        host.set("DefectPixelListIndex", 512)
    with pytest.raises(Refused, match="0x8002"):
        host.set("DefectPixelListEntryPosX", 4096)
    listed = ((10, 20), (11, 20), (521, 20))
    assert host.camera.settings.corrected == listed
    host.camera.reset()
    assert host.camera.settings.corrected == listed
    assert camera_of(VCX, options=Options(user_sets=kept)).settings.corrected == listed


def test_vcx_custom_data() -> None:
    """128 bytes that survive power cycles."""
    kept: dict[str, Any] = {}
    host = host_of(VCX, options=Options(save_user_sets=kept.update))
    for index in range(128):
        host.set("CustomDataSelector", index)
        host.set("CustomData", 255 - index)
    with pytest.raises(Refused, match="0x8002"):
        host.set("CustomDataSelector", 128)
    with pytest.raises(Refused, match="0x8002"):
        host.set("CustomData", 256)
    other = camera_of(VCX, options=Options(user_sets=kept))
    assert [other.features.get("CustomData", CustomDataSelector=n) for n in range(128)] == [
        *range(255, 127, -1)
    ]


def test_vcx_memory_for_user_sets_is_finite() -> None:
    """128 kbit: 512 defect pixels take most of it, and what does not fit is refused and not stored."""
    host = host_of(VCX)
    camera = host.camera
    camera.user_sets["UserSet3"] = {f"n{n}": n for n in range(2040)}
    host.set("UserSetSelector", "UserSet1")
    with pytest.raises(Refused, match="0x8fff"):
        host.run("UserSetSave")
    assert "UserSet1" not in camera.user_sets
    del camera.user_sets["UserSet3"]
    host.run("UserSetSave")
    assert "UserSet1" in camera.user_sets


def test_vcx_clock_counts_in_eights() -> None:
    host = host_of(VCX)
    assert host.read_int(0x1FC, 8) == 8
    host.bus.run(12_345_677)
    host.run("TimestampLatch")
    assert host.get("TimestampLatchValue") % 8 == 0
    assert 0 <= host.bus.now_ns - host.get("TimestampLatchValue") < 8 + 10_000_000


# -- generic ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pixel_format", "code", "bits", "colour_filter", "largest"),
    [
        ("BayerRG8", 0x01080009, 8, "BayerRG", 255),
        ("BayerRG12p", 0x010C0059, 12, "BayerRG", 4095),
        ("RGB8", 0x02180014, 24, "None", 255),
    ],
)
def test_u9_formats_that_every_host_knows(
    pixel_format: str, code: int, bits: int, colour_filter: str, largest: int
) -> None:
    """U9: PFNC's own codes, from which a host derives the payload, and what tells it how to interpolate."""
    host = host_of(GENERIC)
    host.write_int(host.address("PixelFormat"), code)
    assert host.get("PixelFormat") == pixel_format
    assert host.get("PayloadSize") == 1440 * 1080 * (code >> 16 & 0xFF) // 8
    assert host.get("PixelSize") == f"Bpp{bits}"
    assert host.get("PixelColorFilter") == colour_filter
    assert host.get("PixelDynamicRangeMax") == largest


def test_generic_lines_need_no_padding() -> None:
    """GStreamer's lines begin at multiples of four bytes: ours do at every width, in its two formats."""
    host = host_of(GENERIC)
    for width in range(16, 1441, 4):
        host.camera.features.set("Width", width)
        for pixel_format in ("BayerRG8", "RGB8"):
            host.camera.features.set("PixelFormat", pixel_format)
            assert host.get("PayloadSize") // host.get("Height") % 4 == 0


def test_generic_is_no_makers() -> None:
    """pid.codes' vendor id and its product id for tests; a name that no maker uses."""
    model = load_model(GENERIC)
    assert (model.vid, model.pid, model.maker) == (0x1209, 0x0001, "Virtual")
    others = {load_model(name).maker for name in NAMES if name != GENERIC}
    assert not [maker for maker in others if maker in str(model)]
    assert {figure.kind for figure in model.sheet().values()} == {"assumed"}


def test_generic_user_sets_and_patterns() -> None:
    host = host_of(GENERIC)
    assert entries(GENERIC, "UserSetSelector") == ["Default", "UserSet0", "UserSet1"]
    host.set("PixelFormat", "RGB8")
    host.set("TestPattern", "ColorBar")
    host.set("UserSetSelector", "UserSet1")
    host.run("UserSetSave")
    host.set("UserSetSelector", "Default")
    host.run("UserSetLoad")
    assert (host.get("PixelFormat"), host.get("TestPattern")) == ("BayerRG8", "Off")
    host.set("UserSetSelector", "UserSet1")
    host.run("UserSetLoad")
    assert (host.get("PixelFormat"), host.get("TestPattern")) == ("RGB8", "ColorBar")
    assert host.camera.exposure(0, 0, 0, 0).test_image == "ColorBar"


# -- supply -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_cameras_with_their_own_supply_are_self_powered(name: str) -> None:
    raw = UsbFunction(camera_of(name)).descriptors(Speed.SUPER).configuration
    own = load_model(name).wire != "USB3 Vision"
    assert raw[7] == (0xC0 if own else 0x80)
    assert (raw[8] == 0) == own


def test_versions_of_the_wire_are_those_in_its_registers() -> None:
    camera, host = camera_of(GENERIC), host_of(GENERIC)
    for what, address in (("GenCP", 0), ("TL", SBRM)):
        major, minor = (camera.features.get(f"Device{what}Version{part}") for part in ("Major", "Minor"))
        assert int.from_bytes(host.read(address, 4), "little") == major << 16 | minor
