"""SFNC: whether the features that hosts look for are there, and mean what the SFNC says."""

from contextlib import suppress

from u3v.errors import U3VError
from u3v.host.conformance.camera import VALUES, Camera, camera_check, expect, skip
from u3v.host.conformance.declare import INFO, SHOULD
from u3v.host.conformance.xml_nodes import another_value, compare
from u3v.host.nodes import FeatureValue

_ABRM_TEXTS = {
    "DeviceVendorName": 0x004,
    "DeviceModelName": 0x044,
    "DeviceVersion": 0x0C4,
    "DeviceManufacturerInfo": 0x104,
    "DeviceSerialNumber": 0x144,
    "DeviceUserID": 0x184,
}
_RATES = (
    "ResultingFrameRate",
    "AcquisitionResultingFrameRate",
    "AcquisitionFrameRate",
    "ResultingAcquisitionFrameRate",
)
PFNC = {
    "Mono8": 0x01080001, "Mono10": 0x01100003, "Mono10p": 0x010A0046, "Mono12": 0x01100005, "Mono12p": 0x010C0047,
    "Mono14": 0x01100025, "Mono16": 0x01100007, "Mono10Packed": 0x010C0004, "Mono12Packed": 0x010C0006,
    "BayerGR8": 0x01080008, "BayerRG8": 0x01080009, "BayerGB8": 0x0108000A, "BayerBG8": 0x0108000B,
    "BayerGR10": 0x0110000C, "BayerRG10": 0x0110000D, "BayerGB10": 0x0110000E, "BayerBG10": 0x0110000F,
    "BayerGR12": 0x01100010, "BayerRG12": 0x01100011, "BayerGB12": 0x01100012, "BayerBG12": 0x01100013,
    "BayerGR16": 0x0110002E, "BayerRG16": 0x0110002F, "BayerGB16": 0x01100030, "BayerBG16": 0x01100031,
    "BayerBG10p": 0x010A0052, "BayerGB10p": 0x010A0054, "BayerGR10p": 0x010A0056, "BayerRG10p": 0x010A0058,
    "BayerBG12p": 0x010C0053, "BayerGB12p": 0x010C0055, "BayerGR12p": 0x010C0057, "BayerRG12p": 0x010C0059,
    "RGB8": 0x02180014, "BGR8": 0x02180015, "RGBa8": 0x02200016, "BGRa8": 0x02200017, "RGB8_Planar": 0x02180021,
    "YUV422_8": 0x02100032, "YUV422_8_UYVY": 0x0210001F, "YCbCr422_8": 0x0210003B, "YUV8_UYV": 0x02180020,
    "YCbCr8": 0x0218005B, "RGB10": 0x02300018, "RGB12": 0x0230001A, "RGB16": 0x02300033,
}  # fmt: skip
"""PFNC 2.x: name -> 32-bit code."""
NO_LIMIT = 1e300
"""GenApi gives a Float without limits the largest number there is."""
PER_PIXEL = {"g40": 10, "g24": 12}
"""IDS' packed formats have no bits per pixel in their codes; their names end in g40IDS and g24IDS."""


def bits_per_pixel(name: str, code: int) -> int | None:
    """Bits of a pixel in memory, by the name or by bits 16..23 of the code; None where neither tells."""
    for part, bits in PER_PIXEL.items():
        if name.endswith(f"{part}IDS"):
            return bits
    return code >> 16 & 0xFF or None


def _need_all(camera: Camera, *names: str) -> None:
    missing = [name for name in names if not camera.has(name)]
    expect(not missing, f"the camera has no {', '.join(missing)}")


def _kinds(camera: Camera, **kinds: str) -> None:
    for name, kind in kinds.items():
        if camera.has(name):
            found = camera.info(name).kind
            expect(found == kind, f"{name} is a {found}, not a {kind}")


@camera_check(
    "SFNC-001", "TLParamsLocked", "Integer 0..1, floating (no register), writable",
    "SFNC 2.7 (mandatory); GenApi 2.1.1 2.5; cameleon cannot start without", needs="gapi",
)  # fmt: skip
def tl_params_locked(camera: Camera) -> None:
    _need_all(camera, "TLParamsLocked")
    _kinds(camera, TLParamsLocked="Integer")
    expect(
        camera.description.register_behind("TLParamsLocked") is None,
        "TLParamsLocked is a register of the camera",
    )
    info = camera.info("TLParamsLocked")
    expect(info.access == "RW" and (info.minimum, info.maximum) == (0, 1), f"TLParamsLocked: {info}")


@camera_check(
    "SFNC-002", "AcquisitionStart, AcquisitionStop, AcquisitionMode with Continuous",
    "present and executable or writable", "SFNC 2.7 (recommended); Aravis start fails", needs="str gapi",
)  # fmt: skip
def acquisition(camera: Camera) -> None:
    _need_all(camera, "AcquisitionStart", "AcquisitionStop", "AcquisitionMode")
    for name in ("AcquisitionStart", "AcquisitionStop"):
        _kinds(camera, **{name: "Command"})
        expect(camera.info(name).access in ("WO", "RW"), f"{name} cannot be executed")
    expect("Continuous" in camera.info("AcquisitionMode").entries, "AcquisitionMode has no entry Continuous")


@camera_check(
    "SFNC-003", "Width, Height, PixelFormat, PayloadSize", "present, right kinds",
    "SFNC 2.7 (recommended); Aravis, cameleon", needs="str gapi",
)  # fmt: skip
def image_format(camera: Camera) -> None:
    _need_all(camera, "Width", "Height", "PixelFormat", "PayloadSize")
    _kinds(camera, Width="Integer", Height="Integer", PixelFormat="Enumeration", PayloadSize="Integer")


@camera_check(
    "SFNC-004", "OffsetX/Y, WidthMax, HeightMax, SensorWidth, SensorHeight",
    "present; WidthMax ≤ SensorWidth; Width + OffsetX ≤ WidthMax",
    "SFNC 2.7 (recommended); Aravis region, arv-test sensor size", SHOULD, needs="str gapi",
)  # fmt: skip
def geometry(camera: Camera) -> None:
    _need_all(camera, "OffsetX", "OffsetY", "WidthMax", "HeightMax", "SensorWidth", "SensorHeight")
    for axis, offset in (("Width", "OffsetX"), ("Height", "OffsetY")):
        largest, sensor = camera.get_int(f"{axis}Max"), camera.get_int(f"Sensor{axis}")
        expect(0 < largest <= sensor, f"{axis}Max {largest}, Sensor{axis} {sensor}")
        used = camera.get_int(axis) + camera.get_int(offset)
        expect(used <= largest, f"{axis} + {offset} is {used}, {axis}Max is {largest}")


@camera_check(
    "SFNC-005", "DeviceVendorName, ModelName, ManufacturerInfo, Version, SerialNumber, UserID",
    "equal the ABRM strings", "SFNC 2.7; consistency of the camera", SHOULD, needs="gapi",
)  # fmt: skip
def identity(camera: Camera) -> None:
    _need_all(camera, "DeviceVendorName", "DeviceModelName", "DeviceVersion", "DeviceSerialNumber")
    for name, address in _ABRM_TEXTS.items():
        if camera.has(name) and camera.info(name).access in ("RO", "RW") and _has_abrm(camera, name):
            text = camera.read(address, 64).partition(b"\0")[0].decode("utf-8", "replace")
            expect(camera.get(name) == text, f"{name} is {camera.get(name)!r}, the ABRM has {text!r}")


def _has_abrm(camera: Camera, name: str) -> bool:
    return name != "DeviceUserID" or bool(camera.run.capability & 1)


@camera_check(
    "SFNC-006", "DeviceFirmwareVersion, DeviceID, DeviceSFNCVersionMajor/Minor", "readable; SFNC ≥ 2.0",
    "SFNC 2.7 (recommended); pylon: USB3 Vision cameras are SFNC 2", SHOULD, needs="gapi",
)  # fmt: skip
def versions(camera: Camera) -> None:
    _need_all(camera, "DeviceSFNCVersionMajor", "DeviceSFNCVersionMinor", "DeviceFirmwareVersion")
    expect(
        camera.get_int("DeviceSFNCVersionMajor") >= 2, f"SFNC version {camera.get('DeviceSFNCVersionMajor')}"
    )
    for name in ("DeviceFirmwareVersion", "DeviceID"):
        if camera.has(name):
            expect(camera.get(name), f"{name} is empty")


@camera_check(
    "SFNC-007", "DeviceTLType, DeviceTLVersion…, DeviceGenCPVersion…",
    "USB3Vision; = SBRM U3V_Version, ABRM GenCP_Version", "SFNC 2.7 (recommended); consistency of the camera",
    SHOULD, needs="gapi",
)  # fmt: skip
def transport_layer(camera: Camera) -> None:
    if camera.has("DeviceTLType"):
        expect(camera.get("DeviceTLType") == "USB3Vision", f"DeviceTLType is {camera.get('DeviceTLType')}")
    told = {"DeviceTLVersion": camera.number(camera.run.sbrm), "DeviceGenCPVersion": camera.number(0)}
    for name, version in told.items():
        for part, due in (("Major", version >> 16), ("Minor", version & 0xFFFF)):
            if camera.has(name + part):
                expect(
                    camera.get(name + part) == due,
                    f"{name}{part} is {camera.get(name + part)}, the register says {due}",
                )


@camera_check(
    "SFNC-008", "DeviceLinkSpeed, DeviceConnectionSpeed",
    "fit Current_Speed (≤ 60 MB/s at HS, ≤ 625 MB/s at SS); slower own links noted", "consistency of the camera",
    INFO, needs="gapi",
)  # fmt: skip
def link_speed(camera: Camera) -> None:
    names = [name for name in ("DeviceLinkSpeed", "DeviceConnectionSpeed") if camera.has(name)]
    if not names:
        skip("the camera has no DeviceLinkSpeed")
    limit = {"HS": 60_000_000, "SS": 625_000_000}.get(camera.run.speed, 1_250_000_000)
    for name in names:
        value = camera.get_int(name)
        camera.run.note(f"{name} {value} bytes/s")
        expect(0 < value <= limit, f"{name} is {value} bytes/s, the link has {limit}")


@camera_check(
    "SFNC-009", "DeviceLinkThroughputLimit (+ Mode)", "present; value within limits",
    "SFNC 2.7 (recommended); Aravis bandwidth, Aravis issue 781", SHOULD, needs="gapi",
)  # fmt: skip
def throughput_limit(camera: Camera) -> None:
    _need_all(camera, "DeviceLinkThroughputLimit")
    info, value = camera.info("DeviceLinkThroughputLimit"), camera.get_int("DeviceLinkThroughputLimit")
    expect(
        (info.minimum or 0) <= value <= (info.maximum or 0), f"DeviceLinkThroughputLimit is {value}: {info}"
    )
    if (
        camera.has("DeviceLinkSpeed") and camera.run.speed == "SS"
    ):  # at High-Speed the link itself is the limit
        speed = camera.get_int("DeviceLinkSpeed")
        expect(value <= speed, f"DeviceLinkThroughputLimit {value}, DeviceLinkSpeed {speed}")


@camera_check(
    "SFNC-010", "ExposureTime (us), Gain", "Float, limits finite; min > 0 for exposure",
    "SFNC 2.7 (recommended); arv-test gain and exposure", SHOULD, needs="gapi",
)  # fmt: skip
def exposure_and_gain(camera: Camera) -> None:
    _need_all(camera, "ExposureTime", "Gain")
    _kinds(camera, ExposureTime="Float", Gain="Float")
    for name in ("ExposureTime", "Gain"):
        info = camera.info(name)
        widest = max(abs(info.minimum or 0), abs(info.maximum or 0))
        expect(widest < NO_LIMIT, f"{name}: limits {info}")
    info = camera.info("ExposureTime")
    expect((info.minimum or 0) > 0, "ExposureTime may be 0")
    expect((info.maximum or 0) >= 1000, f"ExposureTime goes up to {info.maximum} us: other units?")
    expect(info.unit in ("", "us", "µs"), f"ExposureTime is in {info.unit}")


@camera_check(
    "SFNC-011", "AcquisitionFrameRate (+ Enable), a resulting rate",
    "Float Hz; one of the known names of the resulting rate", "SFNC 2.7 (recommended); features that hosts need",
    SHOULD, needs="str gapi",
)  # fmt: skip
def frame_rate(camera: Camera) -> None:
    found = [name for name in _RATES if camera.has(name)]
    expect(found, f"the camera has none of {', '.join(_RATES)}")
    for name in found:
        expect(camera.info(name).kind == "Float", f"{name} is a {camera.info(name).kind}")
        expect(camera.info(name).unit in ("", "Hz", "fps", "1/s"), f"{name} is in {camera.info(name).unit}")
        expect(camera.get_float(name) > 0, f"{name} is {camera.get(name)}")


@camera_check(
    "SFNC-012", "TriggerSelector, Mode, Source, Software",
    "if present: consistent; at start-up TriggerMode Off for all", "SFNC 2.7 (recommended); pylon switches all off",
    SHOULD, needs="gapi",
)  # fmt: skip
def triggers(camera: Camera) -> None:
    names = [name for name in ("TriggerMode", "TriggerSource", "TriggerSoftware") if camera.has(name)]
    if not names:
        skip("the camera has no trigger")
    _need_all(camera, "TriggerSelector", "TriggerMode", "TriggerSource")
    _kinds(camera, TriggerSelector="Enumeration", TriggerMode="Enumeration", TriggerSoftware="Command")
    with camera.keep("TriggerSelector"):
        for entry in camera.info("TriggerSelector").entries:
            camera.set("TriggerSelector", entry)
            expect(
                camera.get("TriggerMode") == "Off",
                f"TriggerMode of {entry} is {camera.get('TriggerMode')} at start-up",
            )
            expect(
                camera.get("TriggerSource") in camera.info("TriggerSource").entries,
                f"TriggerSource of {entry}",
            )


@camera_check(
    "SFNC-013", "Timestamp(Latch/LatchValue) or …Timestamp… features", "= ABRM latch, within one round trip",
    "consistency of the camera; SFNC 2.7", SHOULD, needs="gapi", trace="r",
)  # fmt: skip
def timestamp(camera: Camera) -> None:
    latch = next((n for n in ("TimestampLatch", "GevTimestampControlLatch") if camera.has(n)), "")
    if not latch:
        skip("the camera has no TimestampLatch")
    camera.need("TimestampLatchValue")
    before = camera.latch()
    camera.execute(latch)
    camera.nodes.refresh()
    value = camera.get_int("TimestampLatchValue")
    after = camera.latch()
    expect(
        before <= value <= after,
        f"TimestampLatchValue {value}; the ABRM's clock went from {before} to {after}",
    )


@camera_check(
    "SFNC-014", "PixelFormat entries with PFNC names",
    "entry value = PFNC code; custom codes have bit 31 or an unknown name (noted: IDS' 0x4…)",
    "PFNC 2; leader and trailer of USB3 Vision", needs="gapi",
)  # fmt: skip
def pixel_formats(camera: Camera) -> None:
    expect(camera.description.kind("PixelFormat") == "Enumeration", "PixelFormat is no Enumeration")
    for name, code in camera.description.entries("PixelFormat").items():
        due = PFNC.get(name)
        expect(due is None or code == due, f"{name} is {code:#010x}, PFNC says {due or 0:#010x}")
        if due is None:
            others = [known for known, number in PFNC.items() if number == code]
            expect(not others, f"{name} has the code of {', '.join(others)}")
            camera.run.note(f"{name} ({code:#010x}) is none of PFNC's common formats")


@camera_check(
    "SFNC-015", "UserSetSelector, UserSetLoad; load Default",
    "success (not while streaming), then features at their defaults, and no old value cached; restored by FEAT-026",
    "SFNC 2.7", SHOULD,
    needs="gapi", trace="r",
)  # fmt: skip
def default_set(camera: Camera) -> None:
    camera.need("UserSetSelector", "UserSetLoad")
    first = camera.info("UserSetSelector").entries[0]
    watched = [
        name for name in ("Width", "Height", "PixelFormat", "ExposureTime", "Gain") if camera.writable(name)
    ]
    if not watched:
        skip("nothing to change")
    with camera.everything(), camera.settings(UserSetSelector=first):
        camera.execute("UserSetLoad")
        camera.nodes.refresh()
        default = {name: camera.get(name) for name in watched}
        _change(camera, watched)
        others = _change_others(camera, watched)
        camera.execute("UserSetLoad")
        compare(camera, others, f"after {first} was loaded")
        _change(camera, watched)
        camera.execute("UserSetLoad")
        camera.nodes.refresh()
        for name, value in default.items():
            expect(
                camera.get(name) == value,
                f"{name} is {camera.get(name)} after {first} was loaded, before {value}",
            )


def _change_others(camera: Camera, watched: list[str]) -> list[str]:
    """Give whatever takes it another value, and remember that; which features those are."""
    changed = []
    for name in camera.sweepable():
        if name in watched or not camera.writable(name) or camera.info(name).kind not in VALUES[:-1]:
            continue
        other = another_value(camera, name)
        with suppress(U3VError):
            camera.nodes.set(name, camera.get(name) if other is None else other)
            changed.append(name)
    for name in changed:
        camera.get(name)
    return changed


def _change(camera: Camera, names: list[str]) -> None:
    for name in names:
        info = camera.info(name)
        value: FeatureValue | None = info.minimum
        if info.kind == "Enumeration":
            value = info.entries[-1]
        if value is not None:
            camera.set(name, value)


@camera_check(
    "SFNC-016", "each EventSelector entry", "has Event<Name> nodes with an EventID port (Error-type ones noted)",
    "events in GenICam", SHOULD, needs="evt gapi",
)  # fmt: skip
def event_nodes(camera: Camera) -> None:
    camera.need("EventSelector")
    ports = {
        (camera.description.text_of(name, "EventID") or "").strip()
        for name in camera.description.named("Port")
        if camera.description.text_of(name, "EventID")
    }
    expect(ports, "EventSelector is there, and no port with an EventID")
    for entry in camera.description.entries("EventSelector"):
        node = camera.description.nodes.get(f"Event{entry}")
        expect(node is not None, f"the event {entry} has no node Event{entry}")


@camera_check(
    "SFNC-017", "ChunkModeActive, ChunkSelector, ChunkEnable, if present",
    "switchable; PayloadSize grows; off again", "cameras in the field, Aravis issue 855; arv-test chunks",
    needs="gapi", trace="r",
)  # fmt: skip
def chunks(camera: Camera) -> None:
    camera.need("ChunkModeActive")
    with camera.keep("ChunkSelector"), camera.settings(ChunkModeActive=True):
        before = camera.get_int("PayloadSize")
        for entry in camera.info("ChunkSelector").entries if camera.has("ChunkSelector") else ():
            camera.set("ChunkSelector", entry)
            if camera.has("ChunkEnable") and camera.writable("ChunkEnable") and not camera.get("ChunkEnable"):
                with camera.settings(ChunkSelector=entry, ChunkEnable=True):
                    expect(
                        camera.get_int("PayloadSize") > before,
                        f"PayloadSize does not grow by the chunk {entry}",
                    )
        with camera.settings(ChunkModeActive=False):
            expect(camera.get("ChunkModeActive") is False, "ChunkModeActive stays on")


@camera_check(
    "SFNC-018", "TestPendingAck, TestEventGenerate, TestPayloadFormatMode", "noted; used by PND and EVT",
    "SFNC 2.7 (optional)", INFO, needs="gapi",
)  # fmt: skip
def test_control(camera: Camera) -> None:
    names = ("TestPendingAck", "TestEventGenerate", "TestPayloadFormatMode")
    found = [name for name in names if camera.has(name)]
    camera.run.note(f"there: {', '.join(found) or 'none'}")
    if not found:
        skip("the camera has no test features")
    if camera.has("TestPendingAck") and camera.writable("TestPendingAck"):
        due_ms = min(max(50, int(camera.info("TestPendingAck").minimum or 0)), camera.run.response_ms // 2)
        started = camera.now_ns()
        with camera.settings(TestPendingAck=due_ms):
            took_ms = (camera.now_ns() - started) / 1e6
        expect(took_ms >= due_ms, f"TestPendingAck = {due_ms} was acknowledged after {took_ms:.1f} ms")


@camera_check(
    "SFNC-019", "DeviceTemperature for each selector entry", "-50..150 °C, not constant 0", "SFNC 2.7", INFO,
    needs="gapi",
)  # fmt: skip
def temperature(camera: Camera) -> None:
    camera.need("DeviceTemperature")
    entries = (
        camera.info("DeviceTemperatureSelector").entries if camera.has("DeviceTemperatureSelector") else ("",)
    )
    with camera.keep("DeviceTemperatureSelector"):
        for entry in entries:
            if entry and camera.writable("DeviceTemperatureSelector"):
                camera.set("DeviceTemperatureSelector", entry)
            value = camera.get_float("DeviceTemperature")
            camera.run.note(f"{entry or 'DeviceTemperature'} {value:.1f} °C")
            expect(-50 <= value <= 150 and value != 0, f"DeviceTemperature {entry} is {value} °C")


@camera_check(
    "SFNC-020", "DeviceReset", "device leaves and comes back ≤ 15 s, same identity, reset state",
    "SFNC 2.7 (recommended)", SHOULD, needs="bus gapi", trace="!",
)  # fmt: skip
def reset(camera: Camera) -> None:
    camera.need("DeviceReset")
    serial = camera.read(0x144, 64)
    camera.execute("DeviceReset")
    camera.come_back()
    expect(camera.read(0x144, 64) == serial, "another serial number after DeviceReset")
    expect(camera.sirm.control == 0, "SI_Control is not 0 after DeviceReset")
