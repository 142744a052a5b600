"""STREAM, second part: starts and stops, hosts that do not read, and what the stream never does."""

import statistics
import struct

from u3v.host.bus import clear_halt
from u3v.host.conformance.camera import (
    DISABLED,
    ENABLED,
    MS,
    Camera,
    camera_check,
    camera_of,
    expect,
    fail,
    skip,
)
from u3v.host.conformance.context import Context
from u3v.host.conformance.declare import INFO, SHOULD, Phase, check
from u3v.host.conformance.effects import eight_bits
from u3v.host.conformance.packets import STATUS
from u3v.host.conformance.streaming import (
    LEADER,
    TRAILER,
    Shot,
    Stream,
    defects,
    expect_whole,
    expected,
    frames,
    streaming,
    usual_plan,
)
from u3v.host.registers import SI_CONTROL

SETTLE_MS = 100
MOST_OWED = 2000


def period_ms(camera: Camera) -> float:
    """Of frames with the present settings."""
    for name in ("ResultingFrameRate", "AcquisitionResultingFrameRate", "ResultingAcquisitionFrameRate"):
        if camera.has(name):
            return 1000 / max(camera.get_float(name), 1e-3)
    if camera.has("AcquisitionFrameRate"):
        return 1000 / max(camera.get_float("AcquisitionFrameRate"), 1e-3)
    return 1000.0


def disable(camera: Camera) -> None:
    camera.run.wr_number(camera.si + SI_CONTROL, 0)


@camera_check(
    "STREAM-031", "start/stop 50 times", "each whole from leader 0; SI_Control 0 after",
    "starts and stops of hosts", needs="str gapi", trace="r",
)  # fmt: skip
def starts(camera: Camera) -> None:
    with camera.small():
        want = expected(camera)
        for n in range(camera.run.count(20, 50)):
            with streaming(camera) as stream:
                shots = stream.shots(2)
            expect_whole(shots, want, f"start {n}: ")
            expect(shots[0].block_id == 0, f"start {n}: the first block id is {shots[0].block_id}")
            expect(camera.sirm.control == 0, f"stop {n}: SI_Control reads {camera.sirm.control}")


def mid_frame(camera: Camera, stream: Stream) -> bytes:
    """The leader of a frame that is on its way, with nothing of its payload fetched."""
    leader = camera.bytes_on(camera.run.stream_in, stream.plan.leader, camera.run.frame_patience_ms)
    expect(leader is not None and leader[:4] == LEADER, f"no leader: {(leader or b'')[:52].hex(' ')}")
    return leader or b""


def begins_anew(camera: Camera, what: str, count: int = 2) -> None:
    """The stream starts afresh with a leader and block id 0."""
    want = expected(camera)
    with streaming(camera) as stream:
        shots = stream.shots(count)
    expect_whole(shots, want, f"{what}: ")
    expect(shots[0].block_id == 0, f"{what}: the first block id is {shots[0].block_id}")


@camera_check(
    "STREAM-032", "SI_Control=0 in mid-frame, IN requests pending",
    "no data after 100 ms; restart gives a leader with id 0",
    "transfer rules of USB3 Vision, starts and stops of hosts", needs="str gapi", trace="r",
)  # fmt: skip
def disabled_in_mid_frame(camera: Camera) -> None:
    with camera.small(333, 241):
        for fetched in range(3):
            with streaming(camera, begin=False) as stream:
                stream.start_acquisition()
                mid_frame(camera, stream)
                for _ in range(fetched):
                    camera.bytes_on(camera.run.stream_in, camera.packet, 3000)
                disable(camera)
                rest = b"".join(
                    iter(lambda: camera.bytes_on(camera.run.stream_in, 1 << 16, SETTLE_MS) or b"", b"")
                )
                expect(len(rest) <= camera.packet * 16, f"{len(rest)} bytes came after SI_Control = 0")
                quiet = camera.bytes_on(camera.run.stream_in, 1 << 16, SETTLE_MS)
                expect(quiet is None, "the stream goes on after SI_Control = 0")
            begins_anew(camera, "after SI_Control = 0 in mid-frame")


@camera_check(
    "STREAM-033", "AcquisitionStop in mid-frame", "the frame ends with its trailer, then silence for 3 periods",
    "SFNC 2.7: stops at the end of the frame", needs="str gapi", trace="r",
)  # fmt: skip
def stopped_in_mid_frame(camera: Camera) -> None:
    with camera.small(333, 241):
        want = expected(camera)
        with streaming(camera) as stream:
            shots = stream.shots(2)
            stream.stop_acquisition()
            shots += _remaining(camera, stream)
            expect_whole(shots, want, "around AcquisitionStop: ")


def _remaining(camera: Camera, stream: Stream, most: int = 64) -> list[Shot]:
    """What still comes after a stop; fails where the camera does not end. A slow host is owed frames of before."""
    found: list[Shot] = []
    period = period_ms(camera)
    ends_ns = camera.latch() + int(2 * period * MS) if camera.has_clock else None
    while True:
        shot = stream.shot(int(3 * period) + SETTLE_MS)
        if shot is None:
            return found
        found.append(shot)
        if len(found) > most if ends_ns is None else not shot.trouble and shot.timestamp > ends_ns:
            fail(f"{len(found)} frames after the stop, and it goes on")
        if len(found) > MOST_OWED:
            skip(f"this host is slow: the camera still owes frames after {MOST_OWED}")


@camera_check(
    "STREAM-034", "AcquisitionAbort in mid-frame",
    "within 2 periods: trailer (A100 or 0) or silence; restart right", "SFNC 2.7", SHOULD, needs="str gapi",
    trace="r",
)  # fmt: skip
def aborted_in_mid_frame(camera: Camera) -> None:
    camera.need("AcquisitionAbort")
    with camera.small(333, 241):
        with streaming(camera) as stream:
            stream.shots(2)
            stream.stop_acquisition("AcquisitionAbort")
            for shot in _remaining(camera, stream):
                if shot.trouble:
                    break
                expect(shot.trailer[:4] == TRAILER, f"after AcquisitionAbort: {shot.trailer[:36].hex(' ')}")
                status = struct.unpack_from("<H", shot.trailer, 16)[0]
                expect(status in (0, 0xA100), f"after AcquisitionAbort: trailer status {status:#06x}")
        begins_anew(camera, "after AcquisitionAbort")


@camera_check(
    "STREAM-035", "no IN request for 0.5 s (level long: 2 s) at full rate, then read",
    "every frame that comes is whole; ids may jump; no mixture", "transfer rules of USB3 Vision", needs="str gapi",
    trace="r",
)  # fmt: skip
def unread_for_a_while(camera: Camera) -> None:
    with camera.small(333, 41, ExposureTime=5000.0):
        want = expected(camera)
        with streaming(camera, begin=False) as stream:
            stream.start_acquisition()
            camera.wait_ms(camera.run.pause(500, 2000))
            shots = stream.shots(20)
        expect_whole(shots, want, "after a while without a request: ")
        ids = [shot.block_id for shot in shots]
        expect(ids == sorted(set(ids)), f"block ids {ids} do not rise")


@camera_check(
    "STREAM-036", "accounting over 10 s with a slow host",
    "frames delivered + id gaps = elapsed x rate ± 2 (on a slow host the losses are the host's)",
    "leader and trailer of USB3 Vision", SHOULD, needs="str gapi", trace="r",
)  # fmt: skip
def losses_counted(camera: Camera) -> None:
    with camera.small(333, 41, ExposureTime=5000.0):
        rate = 1000 / period_ms(camera)
        long_ms = camera.run.count(500, 10_000)
        with streaming(camera, depth=1) as stream:
            first = stream.shots(1)[0]
            last = first
            pause = max(int(3 * period_ms(camera)), 1)
            while last.timestamp - first.timestamp < long_ms * MS:
                camera.wait_ms(pause)
                last = stream.shots(1)[0]
        elapsed = (last.timestamp - first.timestamp) / 1e9
        due = elapsed * rate
        got = last.block_id - first.block_id
        expect(
            abs(got - due) <= 2 + 0.02 * due,
            f"block ids rise by {got} in {elapsed:.3f} s, {due:.1f} frames were due",
        )


@camera_check(
    "STREAM-037", "no IN request for 0.5 s (level long: 10 s)", "control and events work meanwhile",
    "consistency of the camera", needs="str gapi", trace="r",
)  # fmt: skip
def control_beside(camera: Camera) -> None:
    with camera.small(ExposureTime=5000.0), streaming(camera, begin=False) as stream:
        stream.start_acquisition()
        for _ in range(camera.run.count(5, 10)):
            camera.wait_ms(camera.run.pause(100, 1000))
            camera.run.alive()
            if camera.has("ExposureTime"):
                camera.get("ExposureTime")


@camera_check(
    "STREAM-038", "SI_Control=1, no AcquisitionStart, 0.3 s (level long: 1 s)", "silence", "what hosts trip over",
    needs="str gapi", trace="r",
)  # fmt: skip
def enabled_without_start(camera: Camera) -> None:
    with camera.small(), streaming(camera, begin=False) as stream:
        stream.silence(camera.run.pause(300, 1000))


@camera_check(
    "STREAM-039", "AcquisitionStart, 0.5 s, then SI_Control=1",
    "first transfer a leader, id 0; not older than the enable (noted)", "starts and stops of hosts", SHOULD,
    needs="str gapi", trace="r",
)  # fmt: skip
def started_before_enabled(camera: Camera) -> None:
    with camera.small():
        want = expected(camera)
        with streaming(camera, begin=False) as stream:
            disable(camera)
            stream.start_acquisition()
            camera.wait_ms(500)
            expect(not stream.enable(), "SI_Control = 1 is refused while acquiring")
            shot = stream.shot(camera.run.frame_patience_ms)
            if shot is None:
                skip("an acquisition that was started before the stream stays without frames")
            shots = [shot, *stream.shots(2)]
        expect_whole(shots, want, "enabled after AcquisitionStart: ")
        expect(shots[0].block_id == 0, f"the first block id is {shots[0].block_id}")


@camera_check(
    "STREAM-040", "AcquisitionStart twice, Stop twice", "success, or a known status, stream unaffected",
    "what hosts trip over", SHOULD, needs="str gapi", trace="r",
)  # fmt: skip
def commands_twice(camera: Camera) -> None:
    with camera.small():
        want = expected(camera)
        with streaming(camera) as stream:
            shots = stream.shots(2)
            statuses = [camera.execute_raw("AcquisitionStart")]
            shots += stream.shots(3)
            stream.stop_acquisition()
            statuses.append(camera.execute_raw("AcquisitionStop"))
        for name, status in zip(("AcquisitionStart", "AcquisitionStop"), statuses, strict=True):
            expect(status in STATUS, f"{name} a second time: status {status:#06x}")
        broken = [text for rule, text in defects(shots, want) if rule == "STREAM-007"]
        expect(not broken, f"AcquisitionStart while acquiring: {' '.join(broken)}")
        expect_whole(shots, want)


@camera_check(
    "STREAM-041", "queue of 1 request, and of 64", "frames whole", "how hosts take frames", needs="str gapi",
    trace="r",
)  # fmt: skip
def queue_depths(camera: Camera) -> None:
    with camera.small():
        want = expected(camera)
        for depth in (1, 64):
            with streaming(camera, depth=depth) as stream:
                shots = stream.shots(20)
            expect_whole(shots, want, f"{depth} frames queued: ")


@camera_check(
    "STREAM-042", "1000 frames or 30 s at the highest rate", "none incomplete, no id gap while requests are queued",
    "Aravis issue 904", needs="str gapi", trace="r",
)  # fmt: skip
def long_run(camera: Camera) -> None:
    with camera.small(640, 488):
        want = expected(camera)
        count = camera.run.count(200, 1000)
        with streaming(camera, usual_plan(camera, 1 << 20), depth=8) as stream:
            shots = []
            for n in range(count):
                shot = stream.shot()
                if shot is None:
                    fail(f"nothing more after {n} frames")
                shots.append(shot)
            lost = shots[-1].block_id + 1 - len(shots)
        camera.run.journal.series.setdefault("frame interval by leader (us)", []).extend(
            (b.timestamp - a.timestamp) / 1000 for a, b in zip(shots, shots[1:], strict=False)
        )
        expect_whole(shots, want)
        limit = 0 if camera.simulated else max(3, count // 100)
        expect(lost <= limit, f"{lost} frames missing of {count}")


@camera_check(
    "STREAM-043", "bytes per second over 5 s at three throughput limits", "≤ limit x 1.02", "SFNC 2.7", SHOULD,
    needs="str gapi", trace="r",
)  # fmt: skip
def throughput(camera: Camera) -> None:
    camera.need("DeviceLinkThroughputLimit")
    if not camera.writable("DeviceLinkThroughputLimit"):
        skip("DeviceLinkThroughputLimit cannot be written")
    info = camera.info("DeviceLinkThroughputLimit")
    low, high = int(info.minimum or 0), int(info.maximum or 0)
    step = int(info.increment or 1)
    with camera.settings(DeviceLinkThroughputLimitMode="On"), camera.small(640, 480):
        for share in (0.1, 0.3, 0.6):
            wanted = int(low + (high - low) * share)
            limit = wanted - (wanted - low) % step
            with camera.settings(DeviceLinkThroughputLimit=limit), streaming(camera, depth=4) as stream:
                count = camera.run.count(20, 60)
                shots = stream.shots(count)
                total = sum(sum(shot.lengths) + 84 for shot in shots[1:])
                elapsed = (shots[-1].timestamp - shots[0].timestamp) / 1e9
            rate = total / elapsed
            camera.run.note(f"limit {limit / 1e6:.1f} MB/s: {rate / 1e6:.1f} MB/s")
            expect(rate <= limit * 1.02, f"{rate:.0f} bytes/s with a limit of {limit}")


@camera_check(
    "STREAM-044", "frames shorter than SI_Required_Payload_Size, if the device sends any",
    "each unfilled transfer still ends; valid size and size y tell; status A100/A101",
    "transfer rules of USB3 Vision, status codes of USB3 Vision", needs="str gapi", trace="r",
)  # fmt: skip
def honest_short_frames(camera: Camera) -> None:
    with camera.small(333, 241):
        need = camera.required_payload
        seen = 0
        with streaming(camera, begin=False) as stream:
            stream.start_acquisition()
            for _ in range(3):
                camera.wait_ms(250)
                for shot in stream.shots(6):
                    if sum(shot.lengths) == need:
                        continue
                    seen += 1
                    told, valid, lines = struct.unpack_from("<H2xQI", shot.trailer.ljust(32, b"\0"), 16)
                    expect(
                        told in (0xA100, 0xA101),
                        f"a frame of {sum(shot.lengths)} bytes, trailer status {told:#06x}",
                    )
                    expect(
                        valid == sum(shot.lengths),
                        f"valid payload size {valid}, {sum(shot.lengths)} bytes came",
                    )
                    expect(lines <= shot.head(36, "<I"), f"{lines} lines of {shot.head(36, '<I')}")
    if not seen:
        skip("the camera sent no short frame")


@camera_check(
    "STREAM-045", "SI_Control 0, 1, 0, 1 without acquisition, 20 times", "no data; then acquisition whole",
    "consistency of the camera", needs="str gapi", trace="r",
)  # fmt: skip
def enabled_often(camera: Camera) -> None:
    with camera.small():
        for _ in range(camera.run.count(10, 20)):
            camera.write(camera.si + SI_CONTROL, ENABLED)
            camera.write(camera.si + SI_CONTROL, DISABLED)
        expect(
            camera.bytes_on(camera.run.stream_in, 1 << 16, SETTLE_MS) is None, "data without an acquisition"
        )
        begins_anew(camera, "after many enables")


@check(
    "STREAM-046", "at the end of the run: the stream endpoint, with nothing started",
    "nothing ever comes where nothing was started",
    "USB3 Vision: data only between enable and disable; hosts start on the wrong packet", needs="str", trace="-",
    phase=Phase.END,
)  # fmt: skip
def spontaneous(run: Context) -> None:
    camera = camera_of(run)
    clear_halt(camera.bus, run.stream_in)
    data = camera.bytes_on(run.stream_in, 1 << 16, 500)
    expect(
        data is None, f"{len(data or b'')} bytes although nothing was started: {(data or b'')[:52].hex(' ')}"
    )


@camera_check(
    "STREAM-047", "two frames at the shortest exposure: pixels above half scale, rows and columns off by 6 sigma",
    "counted and listed, never judged", "reliability (sensor defects)", INFO, needs="str gapi", trace="r",
)  # fmt: skip
def sensor_defects(camera: Camera) -> None:
    eight = eight_bits(camera)
    if not eight:
        skip("no format with one byte per pixel")
    with (
        camera.small(256, 128, PixelFormat=eight),
        camera.settings(ExposureTime=float(camera.info("ExposureTime").minimum or 0)),
    ):
        width, height = camera.get_int("Width"), camera.get_int("Height")
        images = [shot.image for shot in frames(camera, 2)]
    pixels = images[-1]
    bright = sum(value > 127 for value in pixels)
    rows = [sum(pixels[y * width : (y + 1) * width]) / width for y in range(height)]
    columns = [sum(pixels[x::width]) / height for x in range(width)]
    odd = [_outliers(values) for values in (rows, columns)]
    camera.run.note(f"{bright} pixels above half scale, {odd[0]} rows and {odd[1]} columns off by 6 sigma")


def _outliers(values: list[float]) -> int:
    middle, spread = statistics.median(values), statistics.pstdev(values) or 1
    return sum(abs(value - middle) > 6 * spread for value in values)
