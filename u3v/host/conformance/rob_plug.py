"""ROB, second part, and PWR: resets, plugs that are pulled, other speeds; what the camera says of its power."""

import contextlib
import struct

from u3v.errors import U3VError
from u3v.host.bus import UsbTimeout
from u3v.host.conformance.camera import Camera, camera_check, expect, fail, skip
from u3v.host.conformance.context import Context
from u3v.host.conformance.declare import INFO, SHOULD, unbuilt
from u3v.host.conformance.packets import readmem
from u3v.host.conformance.rob import bootstrap
from u3v.host.conformance.stream_flow import SETTLE_MS, begins_anew, mid_frame
from u3v.host.conformance.streaming import frames, streaming
from u3v.host.conformance.timing import timed

HOTTEST_C = 100
"""No camera on sale is specified for more inside (assumed: each has a limit of its own, which it does not tell)."""
BACK_NS = 5 * 10**9
NAME = 0x184, 64
"""Address and bytes of User_Defined_Name (GenCP 1.3 clause 5.4.8)."""
NEW_NAME = b"u3v-conform".ljust(NAME[1], b"\0")


def _reset(camera: Camera) -> None:
    camera.run.route.reset()
    camera.run.open()


def _descriptors(camera: Camera) -> bytes:
    run = camera.run
    return run.got(run.descriptor(1, 0, 18), 18) + run.read_configuration()


@camera_check(
    "ROB-001", "20 bus resets, enumeration after each", "descriptors as before, register 0 readable, each ≤ 5 s",
    "Command Verifier TD 9.16", needs="bus", trace="r",
)  # fmt: skip
def resets(camera: Camera) -> None:
    before = _descriptors(camera)
    for n in range(20):
        took = timed(camera, lambda: _reset(camera))
        expect(_descriptors(camera) == before, f"other descriptors after reset {n}")
        ack = camera.run.read(0, 4)
        expect(ack.ok, f"reset {n}: {ack}")
        expect(took <= BACK_NS, f"reset {n} took {took / 1e9:.1f} s")


@camera_check(
    "ROB-002", "bus reset in mid-stream",
    "afterwards SI_Control 0, EI_Control 0, endpoints silent; a start gives a leader of block 0",
    "what hosts trip over", needs="bus str gapi", trace="r",
)  # fmt: skip
def reset_in_mid_stream(camera: Camera) -> None:
    with camera.small(333, 241), camera.everything():
        with streaming(camera, begin=False) as stream:
            stream.start_acquisition()
            mid_frame(camera, stream)
            stream.drop()
            _reset(camera)
            _is_quiet(camera)
            stream.acquiring = False
            with contextlib.suppress(U3VError):
                camera.nodes.set("AcquisitionStop", 1)
        begins_anew(camera, "after a bus reset")


def _is_quiet(camera: Camera) -> None:
    """Off after a reset or replug, and silent."""
    expect(camera.sirm.control == 0, f"SI_Control reads {camera.sirm.control} after it")
    with contextlib.suppress(U3VError):
        now = camera.number(camera.ei)
        expect(now == 0, f"EI_Control reads {now} after it")
    data = camera.bytes_on(camera.run.stream_in, 1 << 16, SETTLE_MS)
    expect(data is None, f"{len(data or b'')} bytes on the stream endpoint that nobody asked for")


@camera_check(
    "ROB-003", "bus reset between command and ack", "next ack is the next command's", "consistency of the camera",
    needs="bus", trace="r",
)  # fmt: skip
def reset_before_the_answer(camera: Camera) -> None:
    run = camera.run
    run.send(readmem(run.next_id(), 4, 64))
    run.route.reset()
    run.got(run.configure(run.layout.value))
    wanted = run.next_id()
    run.send(readmem(wanted, 0, 4))
    ack = run.receive()
    expect(
        ack is not None and ack.request_id == wanted,
        f"the first answer after a reset is not to the new command: {ack}",
    )


def _replugged(camera: Camera) -> int:
    """Out and in again; how long it took to answer, ns."""
    started = camera.now_ns()
    camera.run.replug()
    camera.run.open()
    camera.read(0, 4)
    camera.refresh()
    return camera.now_ns() - started


@camera_check(
    "ROB-016", "unplug while idle, plug",
    "same serial and GUID, whole enumeration ≤ 5 s; host sees NO_DEVICE meanwhile",
    "cameras that come back as another", needs="bus", trace="r",
)  # fmt: skip
def replugged(camera: Camera) -> None:
    run = camera.run
    before = _descriptors(camera)
    serial, guid = run.string(run.device[16]), run.string(run.layout.info[11])
    took = _replugged(camera)
    expect(_descriptors(camera) == before, "other descriptors after a replug")
    same = (run.string(run.device[16]), run.string(run.layout.info[11])) == (serial, guid)
    expect(same, "another serial number or GUID after a replug")
    expect(took <= BACK_NS, f"the camera answers {took / 1e9:.1f} s after it was pulled")


@camera_check(
    "ROB-017", "unplug in mid-transfer of leader, payload, trailer, ack",
    "each request ends with NO_DEVICE or EPROTO ≤ 1 s; after plug as 016", "Aravis issue 301, Aravis issue 735",
    needs="bus str gapi", trace="r",
)  # fmt: skip
def pulled_in_mid_transfer(camera: Camera) -> None:
    run, before = camera.run, bootstrap(camera)
    with camera.everything(), camera.small(333, 241):
        for place in ("leader", "payload", "trailer", "acknowledge"):
            _pull(camera, place)
            expect(bootstrap(camera) == before, f"registers differ after the plug was pulled in a {place}")
            run.alive()
    with camera.small():
        begins_anew(camera, "after a replug")


def _pull(camera: Camera, place: str) -> None:
    """Pull the plug while a request for this is waiting; it has to end."""
    run = camera.run
    with streaming(camera, begin=False) as stream:
        endpoint = run.control_in if place == "acknowledge" else run.stream_in
        if place in ("payload", "trailer"):
            stream.start_acquisition()
            mid_frame(camera, stream)
        for size in stream.plan.transfers() if place == "trailer" else ():
            camera.bytes_on(run.stream_in, size, run.frame_patience_ms)
        buffer = bytearray(1 << 16)
        handle = run.route.bus.submit_in(endpoint, buffer)
        old = run.route.bus
        with run.expecting_trouble():
            run.replug()
            try:
                old.wait_in(handle, 1000)
            except UsbTimeout:
                fail(f"a request for a {place} does not end when the plug is pulled")
            except U3VError:
                pass  # the bus has forgotten it with the device
        stream.acquiring = False
        camera.run.open()
        camera.refresh()


@camera_check(
    "ROB-021", "attach at HS",
    "enumerates, 512-byte packets, Current_Speed 4, 10 frames whole; or a clear refusal by bmSpeedSupport",
    "interfaces of USB3 Vision; pylon as observed", SHOULD, needs="bus str gapi", trace="r",
)  # fmt: skip
def at_high_speed(camera: Camera) -> None:
    if camera.run.speed == "HS":
        skip("the link is at High-Speed already")
    with camera.run.attached_at("HS"):
        slow = Camera(_fresh(camera.run))
        device, info = slow.run.device, slow.run.layout.info
        expect(device[7] == 64, f"bMaxPacketSize0 is {device[7]} at High-Speed")
        if info and not info[19] & 0x04:
            slow.run.note("bmSpeedSupport says that the camera does not work at High-Speed")
        else:
            sizes = {e.max_packet for e in slow.run.layout.bulk}
            expect(sizes == {512}, f"packet sizes {sizes} at High-Speed")
            speed = slow.number(slow.run.sbrm + 0x40)
            expect(speed == 4, f"Current_Speed reads {speed} at High-Speed")
            with slow.small():
                frames(slow, 10, what="at High-Speed: ")
    camera.run.open()
    camera.refresh()


def _fresh(run: Context) -> Context:
    """A context that knows nothing of another speed."""
    fresh = Context(run.route, run.level)
    fresh.page, fresh.check = run.page, run.check
    fresh.open()
    return fresh


@camera_check(
    "ROB-026", "power cycle", "volatile registers at default, name kept, streams whole", "GenCP 1.3 5.4.8", SHOULD,
    needs="bus", trace="!",
)  # fmt: skip
def power_cycle(camera: Camera) -> None:
    camera.need("ExposureTime")
    before = bootstrap(camera)
    has_name = camera.run.capability & 1
    with camera.run.restoring(*NAME) if has_name else contextlib.nullcontext(), camera.everything():
        if has_name:
            camera.run.wr(NAME[0], NEW_NAME)
        kept, least = camera.get_float("ExposureTime"), float(camera.info("ExposureTime").minimum or 0)
        camera.set("ExposureTime", least)
        _replugged(camera)
        now = camera.get_float("ExposureTime")
        expect(now != least or kept == least, f"ExposureTime {least:g} us was never saved, and is kept")
        expect(bootstrap(camera) == before, "registers differ after a power cycle")
        expect(not has_name or camera.read(*NAME) == NEW_NAME, "the user's name is lost after a power cycle")
        _is_quiet(camera)
        with camera.small():
            begins_anew(camera, "after a power cycle")


@camera_check(
    "FEAT-022", "UserSetDefault, power cycle", "chosen set active", "SFNC 2.7", INFO, needs="bus gapi", trace="!",
)  # fmt: skip
def default_set(camera: Camera) -> None:
    camera.need("UserSetDefault", "UserSetSelector")
    entries = camera.info("UserSetDefault").entries
    if len(entries) < 2:
        skip("one user set only")
    with camera.everything(), camera.keep("UserSetDefault"):
        camera.set("UserSetDefault", entries[-1])
        _replugged(camera)
        now = camera.get("UserSetDefault")
        expect(now == entries[-1], f"UserSetDefault is {now} after a power cycle, {entries[-1]} was set")


# power


def max_power_ma(camera: Camera) -> int:
    """bMaxPower in mA: its unit is 8 mA at SuperSpeed, 2 mA below."""
    return camera.run.layout.raw[8] * (8 if camera.run.speed == "SS" else 2)


@camera_check(
    "PWR-001", "bMaxPower, units 8 mA (SS), 2 mA (HS)", "SS ≤ 112 (896 mA), HS ≤ 250 (500 mA)",
    "USB 3.2 9.6.3, 11.4",
)  # fmt: skip
def declared_power(camera: Camera) -> None:
    most = 896 if camera.run.speed == "SS" else 500
    camera.run.note(f"{max_power_ma(camera)} mA declared")
    expect(
        max_power_ma(camera) <= most, f"bMaxPower declares {max_power_ma(camera)} mA, {most} mA is the most"
    )


@camera_check(
    "PWR-002", "bMaxPower against the unit", "mA at SS and HS plausible: not exactly 4x or 1/4 apart",
    "configuration", SHOULD, needs="bus", trace="r",
)  # fmt: skip
def units_of_power(camera: Camera) -> None:
    here = max_power_ma(camera)
    other = "HS" if camera.run.speed == "SS" else "SS"
    with camera.run.attached_at(other):
        there = max_power_ma(Camera(_fresh(camera.run)))
    camera.run.open()
    camera.run.note(f"{here} mA at {camera.run.speed}, {there} mA at {other}")
    odd = here and there and (here == 4 * there or there == 4 * here)
    expect(not odd, f"{here} mA at {camera.run.speed}, {there} mA at {other}: the same byte in another unit?")


@camera_check(
    "PWR-003", "bmAttributes bit 6, bMaxPower, GET_STATUS bit 0",
    "bit 6 clear: bMaxPower > 0; bMaxPower 0: bit 6 set; status as USB-CH9-013", "Command Verifier TD 9.18",
)  # fmt: skip
def supplies(camera: Camera) -> None:
    run = camera.run
    attributes, power = run.layout.raw[7], run.layout.raw[8]
    status = struct.unpack("<H", run.got(run.request(0x80, 0, 0, 0, 2), 2))[0]
    self_powered = bool(attributes & 0x40)
    expect(self_powered or power, f"bmAttributes {attributes:#04x} (bus-powered) with bMaxPower 0")
    if not self_powered:
        expect(
            not status & 1,
            f"GET_STATUS {status:#06x} says self-powered, bmAttributes {attributes:#04x} does not",
        )
    elif not power:
        expect(status & 1, f"GET_STATUS {status:#06x} says bus-powered, bMaxPower is 0")


unbuilt(
    "PWR-004", "port that offers less than declared",
    "SET_CONFIGURATION refused (by host or device), device stays addressable, descriptors readable",
    "Linux usbcore 'insufficient available bus power'",
    "needs a port whose supply the run can choose; the tests of the transports have one", SHOULD, needs="sim",
)  # fmt: skip
unbuilt(
    "PWR-005", "declared mA against measured while streaming", "measured ≤ declared", "USB 3.2 11.4",
    "needs a current meter", INFO, needs="meter",
)  # fmt: skip
unbuilt(
    "PWR-006", "U1/U2 (SS) or L1 (HS) allowed by the host, 200 frames", "whole, no retries beyond those without it",
    "Command Verifier TD 9.21", "needs link power management under the program's control", INFO,
    needs="bus str gapi",
)  # fmt: skip
unbuilt(
    "PWR-007", "unconfigured and suspended current", "≤ 150 mA (SS), ≤ 100 mA (HS); suspend ≤ 2.5 mA",
    "USB 3.2 11.4, 9.2.5", "needs a current meter", INFO, needs="meter",
)  # fmt: skip


@camera_check(
    "PWR-008", "DeviceTemperature over the run", "rises to a plateau, below the device's own limit", "SFNC 2.7",
    INFO,
)  # fmt: skip
def warms_up(camera: Camera) -> None:
    camera.need("DeviceTemperature")
    before = camera.get_float("DeviceTemperature")
    with camera.small(), streaming(camera, depth=4) as stream:
        stream.shots(camera.run.count(20, 2000))
    camera.refresh()
    after = camera.get_float("DeviceTemperature")
    camera.run.note(f"DeviceTemperature {before:.1f} °C, after some frames {after:.1f} °C")
    expect(after < HOTTEST_C, f"DeviceTemperature {after:.1f} °C")
