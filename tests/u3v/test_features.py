import math
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.u3v.rig import MODEL, Host, PlainTiming, Refused, Room, make_camera, on_usb
from u3v import sfnc
from u3v.camera import Camera
from u3v.errors import GenCPError, Status
from u3v.feature_set import FeatureSet
from u3v.features import (
    Boolean,
    Command,
    Enumeration,
    Feature,
    Float,
    Integer,
    String,
    limit,
    while_acquiring,
)
from u3v.memory import Memory
from u3v.usb3v.bootstrap import USB3_VISION


@pytest.fixture
def camera() -> Camera:
    return make_camera()


def write(camera: Camera, name: str, value: object, **selected: str) -> None:
    """A host's write: an int, float, bool or string is encoded, bytes are taken as they are."""
    features = camera.features
    feature = features.declared[name]
    raw = value if isinstance(value, bytes) else feature.encode(value)  # type: ignore[arg-type]
    camera.memory.host_write(features._where(feature, selected), raw)


def attempt(camera: Camera, name: str, raw: bytes) -> Status | None:
    """The status of a refused write, None for one that was accepted."""
    try:
        write(camera, name, raw)
    except GenCPError as error:
        return error.status
    return None


def refusal(camera: Camera, name: str, value: object, **selected: str) -> tuple[Status, str]:
    before = bytes(camera.memory.device_read(0x200000, 0x10000))
    with pytest.raises(GenCPError) as caught:
        write(camera, name, value, **selected)
    assert camera.memory.device_read(0x200000, 0x10000) == before
    return caught.value.status, str(caught.value)


BAD = Status.INVALID_PARAMETER


def test_integers_outside_of_their_limits(camera: Camera) -> None:
    text = "must be 8 to 4112 px in steps of 4"
    for value in (-4, 0, 4, 4116, 2**31 - 1, -(2**31), 42):
        assert refusal(camera, "Width", value) == (BAD, f"Width = {value}: {text}")
    camera.features.set("OffsetX", 12)
    assert refusal(camera, "Width", 4104) == (BAD, "Width = 4104: must be 8 to 4100 px in steps of 4")
    write(camera, "Width", 4100)
    assert refusal(camera, "OffsetX", 16) == (BAD, "OffsetX = 16: must be 0 to 12 px in steps of 4")
    assert refusal(camera, "AcquisitionFrameCount", 0)[1] == "AcquisitionFrameCount = 0: must be 1 to 65535"


def test_floats_outside_of_their_limits(camera: Camera) -> None:
    assert refusal(camera, "ExposureTime", 23.9) == (BAD, "ExposureTime = 23.9: must be 24 to 10000000 us")
    assert refusal(camera, "Gain", 48.1) == (BAD, "Gain = 48.1: must be 0 to 48 dB")
    for value in (math.nan, math.inf, -math.inf):
        assert refusal(camera, "Gain", value)[0] is BAD
    write(camera, "Gain", 48.0)
    write(camera, "ExposureTime", 24.0)


def test_floats_go_down_to_a_multiple_of_their_step() -> None:
    tenths = Float(name="Tenths", tooltip="In steps of 0.1.", inc=0.1)
    assert [tenths.rounded(value) for value in (0.0, 0.3, 0.35, 0.6, 1.1, 28.7)] == [
        0.0,
        0.3,
        0.3,
        0.6,
        1.1,
        28.7,
    ]
    assert Float(name="Whole", tooltip="In steps of 1.", inc=1.0).rounded(99.999) == 99.0
    assert Float(name="Any", tooltip="Without steps.").rounded(99.999) == 99.999


def test_what_is_no_boolean_entry_or_text(camera: Camera) -> None:
    assert refusal(camera, "ReverseX", b"\2\0\0\0") == (BAD, "ReverseX: not 0 or 1")
    assert refusal(camera, "TriggerMode", b"\7\0\0\0") == (BAD, "TriggerMode = 0x7: not one of Off, On")
    expected = "PixelFormat = 0x1080009: not one of Mono8, Mono10, Mono10p, Mono12, Mono12p"
    assert refusal(camera, "PixelFormat", b"\x09\0\x08\1") == (BAD, expected)


def test_user_defined_name() -> None:
    host = Host()
    for bad in ("Stra\xdfe".encode("latin-1"), "Straße".encode()):
        with pytest.raises(Refused, match="0x8002"):
            host.write(0x184, bad.ljust(64, b"\0"))
    assert host.read(0x184, 64) == bytes(64)
    host.write(0x184, b"left".ljust(64, b"\0"))
    assert host.camera.features.get("DeviceUserID") == "left"
    host.write(0x184, b"a" * 64)  # no terminating zero needed
    assert host.camera.features.get("DeviceUserID") == "a" * 64


def test_locked_while_acquiring(camera: Camera) -> None:
    camera.acquisition.start(0)
    locked = [f.name for f in camera.features if f.locked is while_acquiring and f.available is None]
    assert {"Width", "Height", "OffsetX", "OffsetY", "PixelFormat", "BinningVertical"} <= set(locked)
    for name in locked:
        value = camera.features.declared[name].encode(camera.features.get(name))
        assert refusal(camera, name, value) == (Status.ACCESS_DENIED, f"{name} is locked now")
    write(camera, "ExposureTime", 500.0)
    camera.acquisition.stop(0)
    for name in locked:
        if name != "UserSetLoad":
            write(camera, name, camera.features.get(name))


def test_what_is_not_available(camera: Camera) -> None:
    write(camera, "DeviceLinkThroughputLimitMode", "Off")
    name = "DeviceLinkThroughputLimit"
    assert refusal(camera, name, 300_000_000) == (Status.ACCESS_DENIED, f"{name} is not available now")
    write(camera, "DeviceLinkThroughputLimitMode", "On")
    write(camera, name, 300_000_000)
    expected = f"{name} = 419430401: must be 160000 to 419430400 Bps"
    assert refusal(camera, name, 419_430_401) == (BAD, expected)
    assert refusal(camera, "UserSetSave", 1)[1] == "UserSetSave is not available now"


def test_an_instance_is_locked_or_not_whatever_is_selected(camera: Camera) -> None:
    """Line1 is an input and nothing else, Line3 can be either."""
    write(camera, "LineSelector", "Line3")
    status, text = refusal(camera, "LineMode", "Output", LineSelector="Line1")
    assert (status, text) == (Status.ACCESS_DENIED, "LineMode is locked now")
    write(camera, "LineSelector", "Line1")
    write(camera, "LineMode", "Output", LineSelector="Line3")
    assert camera.features.get("LineMode", LineSelector="Line3") == "Output"


def test_read_only_features(camera: Camera) -> None:
    for feature in camera.features:
        if feature.access == "RO" and feature.address is None:
            status, text = refusal(camera, feature.name, bytes(feature.size))
            assert status is Status.WRITE_PROTECT
            assert text.startswith(f"{feature.name} at 0x2")


def test_selected_values_are_separate(camera: Camera) -> None:
    write(camera, "TriggerDelay", 5.0, TriggerSelector="FrameStart")
    write(camera, "TriggerDelay", 7.0, TriggerSelector="FrameBurstStart")
    get = camera.features.get
    assert get("TriggerDelay") == get("TriggerDelay", TriggerSelector="FrameStart") == 5.0
    write(camera, "TriggerSelector", "FrameBurstStart")
    assert get("TriggerDelay") == 7.0


def test_binning_clips_the_region() -> None:
    camera = make_camera(settings={"Width": 4096, "Height": 2168, "OffsetX": 16, "OffsetY": 8})
    write(camera, "BinningHorizontal", 3)
    write(camera, "BinningVertical", 4)
    get = camera.features.get
    assert (get("WidthMax"), get("HeightMax")) == (1370, 544)
    assert (get("Width"), get("OffsetX"), get("Height"), get("OffsetY")) == (1368, 0, 544, 0)
    write(camera, "BinningHorizontal", 1)
    write(camera, "BinningVertical", 1)
    assert (get("Width"), get("Height")) == (1368, 544)  # nothing grows by itself


SHARED = make_camera()
AS_MADE = SHARED.memory.device_read(0x200000, 0x10000)


def reset() -> Camera:
    """One camera for many examples, as it was made."""
    SHARED.configure(0, 0)
    SHARED.memory.device_write(0x200000, AS_MADE)
    return SHARED


steps = st.lists(
    st.tuples(
        st.sampled_from(["Width", "Height", "OffsetX", "OffsetY", "BinningHorizontal", "BinningVertical"]),
        st.integers(-4, 4200) | st.sampled_from([1, 2, 3, 4, 8, 2176, 4112]),
    ),
    max_size=20,
)


@given(steps)
@settings(max_examples=150, deadline=None)
def test_the_region_never_leaves_the_sensor(changes: list[tuple[str, int]]) -> None:
    camera = reset()
    get = camera.features.get
    for name, value in changes:
        status = attempt(camera, name, camera.features.declared[name].encode(value))
        assert status is BAD or (status is None and get(name) == value)
        for size, offset, binning, pixels in (
            ("Width", "OffsetX", "BinningHorizontal", 4112),
            ("Height", "OffsetY", "BinningVertical", 2176),
        ):
            assert 0 <= get(offset) <= (get(offset) + get(size)) <= pixels // get(binning)
        assert get("Width") >= 8 and get("Height") >= 1
        assert get("Width") % 4 == get("OffsetX") % 4 == 0


def writable() -> list[str]:
    return [f.name for f in make_camera().features if f.access == "RW" and f.address is None]


@given(st.sampled_from(writable()), st.data())
@settings(max_examples=400, deadline=None)
def test_accepted_values_are_within_limits(name: str, data: st.DataObject) -> None:
    """Any bytes: refused, with everything as it was, or they read back as a value that the limits allow."""
    camera = reset()
    feature = camera.features.declared[name]
    raw = data.draw(st.binary(min_size=feature.size, max_size=feature.size) | _near(camera, feature))
    where = camera.features._where(feature, {})
    before = camera.memory.device_read(0x200000, 0x10000)
    status = attempt(camera, name, raw)
    if status is not None:
        assert status in (Status.INVALID_PARAMETER, Status.ACCESS_DENIED)
        assert camera.memory.device_read(0x200000, 0x10000) == before
        return
    if isinstance(feature, Command):
        assert camera.memory.host_read(where, feature.size) == bytes(feature.size)
        return
    value: Any = feature.decode(raw)
    if isinstance(feature, Float) and feature.inc:  # a multiple of it, the next one below
        asked, value = value, camera.features.get(name)
        assert asked - feature.inc < value <= asked + 1e-6 * feature.inc
        assert value / feature.inc == pytest.approx(round(value / feature.inc), abs=1e-6)
    assert camera.memory.host_read(where, feature.size) == (
        raw if feature.decode(raw) == value else feature.encode(value)
    )
    if isinstance(feature, Integer | Float):
        assert limit(camera, feature.min) <= value <= limit(camera, feature.max)
    elif isinstance(feature, Enumeration):
        assert value in feature.entries


def _near(camera: Camera, feature: Feature) -> st.SearchStrategy[bytes]:
    """Values at the limits."""
    if isinstance(feature, Integer):
        low, high = int(limit(camera, feature.min)), int(limit(camera, feature.max))
        bits = feature.bits
        values = [
            v
            for v in (low - 1, low, low + 1, high - 1, high, high + 1)
            if -(2 ** (bits - 1)) <= v < 2 ** (bits - 1)
        ]
        return st.sampled_from([feature.encode(v) for v in values])
    if isinstance(feature, Float):
        low_f, high_f = float(limit(camera, feature.min)), float(limit(camera, feature.max))
        values_f = (
            low_f,
            high_f,
            math.nextafter(low_f, -math.inf),
            math.nextafter(high_f, math.inf),
            math.nan,
        )
        return st.sampled_from([struct.pack("<d", v) for v in values_f])
    return st.sampled_from([struct.pack("<I", n).ljust(feature.size, b"\0") for n in (0, 1, 2, 3)])


def test_every_feature_answers_over_the_wire(host: Host) -> None:
    for feature in host.camera.features:
        for labels, at in host.camera.features._instances(feature):
            raw = host.read(at, min(feature.size, 512))
            if feature.size > len(raw):
                continue  # hosts read it in pieces
            assert feature.encode(feature.decode(raw)) == raw, (feature.name, labels)
    for aspect in host.camera.features.aspects.values():
        assert len(host.read(aspect.address, aspect.size)) == aspect.size


def test_declarations_are_checked() -> None:
    camera = make_camera()

    def build(*features: Feature) -> FeatureSet:
        memory = Memory()
        return FeatureSet(camera, features, memory, memory.add_region("features", 0x1000, 0x1000))

    with pytest.raises(ValueError, match=r"^feature A is declared twice$"):
        build(Integer(name="A", tooltip=""), Boolean(name="A", tooltip=""))
    with pytest.raises(
        TypeError, match=r"^selector A is no Enumeration, and no Integer from 0 to below 4096$"
    ):
        build(Integer(name="A", tooltip=""), Integer(name="B", tooltip="", selectors=("A",)))
    with pytest.raises(ValueError, match="is outside of region features"):
        build(String(name="A", tooltip="", length=0x2000))


def test_declarations_speak_to_people() -> None:
    for feature in sfnc.features(MODEL, USB3_VISION):
        assert feature.tooltip.endswith("."), feature.name
        assert feature.category, feature.name
        if isinstance(feature, Integer):
            assert feature.representation in ("Linear", "Logarithmic", "PureNumber", "HexNumber")


def test_commands_execute_on_any_value_and_read_as_done(camera: Camera) -> None:
    camera.now_ns = 77
    for raw in (b"\1\0\0\0", b"\2\0\0\0", b"\0\0\0\x80"):
        camera._latched_ns = 0
        write(camera, "TimestampLatch", raw)
        assert camera.features.get("TimestampLatchValue") == 77
        assert camera.features.get("TimestampLatch") == 0
    camera._latched_ns = 5
    write(camera, "TimestampLatch", b"\0\0\0\0")
    assert camera.features.get("TimestampLatchValue") == 5


def test_defaults_are_allowed_values() -> None:
    camera = on_usb(Camera(MODEL, PlainTiming(), Room(), USB3_VISION))
    for feature in camera.features:
        for _, at in camera.features._instances(feature):
            value = feature.decode(camera.memory.host_read(at, feature.size))
            if feature.access == "RW" and not isinstance(feature, Command):
                feature.check(camera, value)


def test_s8_one_write_path_for_everyone() -> None:
    """From Python, --set and a host: rounded, refused and followed by the same."""
    host = Host()
    features = host.camera.features
    features.host_set("Gain", 3)
    assert host.get("Gain") == 3.0
    for name, value in (
        ("Width", 41),
        ("Width", -1),
        ("PixelFormat", "Mono13"),
        ("Gain", 1e6),
        ("Gain", "loud"),
    ):
        before = features.get(name)
        with pytest.raises(GenCPError) as caught:
            features.host_set(name, value)
        assert caught.value.status is Status.INVALID_PARAMETER
        assert features.get(name) == before
    with pytest.raises(GenCPError) as caught:
        features.host_set("SensorWidth", 5)
    assert caught.value.status is Status.WRITE_PROTECT
    features.host_set("DeviceLinkThroughputLimitMode", "Off")
    with pytest.raises(GenCPError) as caught:
        features.host_set("DeviceLinkThroughputLimit", 300_000_000)
    assert caught.value.status is Status.ACCESS_DENIED  # not available
    features.host_set("DeviceUserID", "left")
    assert host.camera.user_sets["DeviceUserID"] == {"name": "left"}
    with pytest.raises(KeyError):
        features.host_set("Nonsense", 1)


def test_typed_handles_read_what_the_registers_hold() -> None:
    host = Host()
    features = host.camera.features
    width, gain = features.handle("Width", int), features.handle("Gain", float)
    mode = features.handle("TriggerMode", str, TriggerSelector="FrameStart")
    host.set("Width", 44)
    host.set("Gain", 2.5)
    host.set("TriggerMode", "On", TriggerSelector="FrameStart")
    assert (width.get(), gain.get(), mode.get()) == (44, 2.5, "On")
    assert features.handle("Nonsense", float, 1.5).get() == 1.5
    with pytest.raises(KeyError):
        features.handle("Nonsense", float)
