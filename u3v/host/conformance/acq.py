"""ACQ and TRG: how many frames come, how fast, and on which trigger."""

import contextlib
from collections.abc import Iterator

from u3v.host.conformance.camera import MS, Camera, camera_check, expect, fail, skip
from u3v.host.conformance.declare import INFO, SHOULD
from u3v.host.conformance.effects import pulses_trigger
from u3v.host.conformance.meanings import edges_trigger
from u3v.host.conformance.stream_flow import SETTLE_MS, period_ms
from u3v.host.conformance.streaming import Shot, Stream, expect_whole, expected, streaming

QUIET_MS = 300
"""How long nothing comes after the frames that were due, where the catalogue names no time: many frame periods."""
_RATES = ("ResultingFrameRate", "AcquisitionResultingFrameRate", "ResultingAcquisitionFrameRate")


def periods(shots: list[Shot]) -> list[int]:
    """Intervals of the leaders' timestamps per block id, ns."""
    return [
        (b.timestamp - a.timestamp) // max(b.block_id - a.block_id, 1)
        for a, b in zip(shots, shots[1:], strict=False)
    ]


def rate_of(shots: list[Shot]) -> float:
    """Frames per second by the leaders' timestamps; 0 where those do not rise."""
    elapsed = shots[-1].timestamp - shots[0].timestamp
    return (shots[-1].block_id - shots[0].block_id) * 1e9 / elapsed if elapsed > 0 else 0.0


def resulting_rate(camera: Camera) -> float:
    name = next((name for name in _RATES if camera.has(name)), "")
    if not name:
        skip("the camera does not tell the rate that results")
    return camera.get_float(name)


def _count(camera: Camera, due: int, what: str, silent_ms: int = 1000) -> None:
    want = expected(camera)
    with streaming(camera) as stream:
        shots = stream.shots(due)
        stream.silence(silent_ms)
    expect_whole(shots, want, f"{what}: ")


def _mode(camera: Camera, mode: str) -> None:
    camera.need("AcquisitionMode")
    if mode not in camera.info("AcquisitionMode").entries:
        skip(f"AcquisitionMode has no entry {mode}")


@camera_check(
    "ACQ-001", "SingleFrame", "exactly 1 frame, then 1 s silence", "SFNC 2.7; Aravis one-shot", needs="str gapi",
    trace="r",
)  # fmt: skip
def single_frame(camera: Camera) -> None:
    _mode(camera, "SingleFrame")
    with camera.small(AcquisitionMode="SingleFrame"):
        _count(camera, 1, "SingleFrame")
        _count(camera, 1, "SingleFrame a second time", QUIET_MS)


@camera_check("ACQ-002", "MultiFrame, count 3", "exactly 3", "SFNC 2.7", needs="str gapi", trace="r")
def multi_frame(camera: Camera) -> None:
    _mode(camera, "MultiFrame")
    camera.need("AcquisitionFrameCount")
    with camera.small(AcquisitionMode="MultiFrame", AcquisitionFrameCount=3):
        _count(camera, 3, "MultiFrame of 3")


@camera_check(
    "ACQ-003", "Continuous", "until stop (30 frames and more)", "SFNC 2.7", needs="str gapi", trace="r",
)  # fmt: skip
def continuous(camera: Camera) -> None:
    _mode(camera, "Continuous")
    with camera.small(640, 488):
        want = expected(camera)
        with streaming(camera) as stream:
            shots = stream.shots(40)
        expect_whole(shots, want)


@camera_check(
    "ACQ-004", "AcquisitionFrameRate 10 and 5 Hz, 10 frames",
    "by leader timestamps (by arrival where TIME-014 fails) ± 10 %; within ± 1 % noted", "arv-test FrameRateA/B",
    needs="str gapi", trace="r",
)  # fmt: skip
def frame_rates(camera: Camera) -> None:
    camera.need("AcquisitionFrameRate")
    if not camera.writable("AcquisitionFrameRate"):
        skip("AcquisitionFrameRate cannot be written")
    with camera.small(AcquisitionFrameRateEnable=True):
        for due in (10.0, 5.0):
            with camera.settings(AcquisitionFrameRate=due), streaming(camera) as stream:
                rate = rate_of(stream.shots(camera.run.count(6, 10)))
            camera.run.note(f"{due} Hz: {rate:.4f} Hz by leader timestamps")
            expect(abs(rate - due) <= 0.1 * due, f"{rate:.3f} Hz by leader timestamps, {due} Hz were set")


@camera_check(
    "ACQ-005", "free run at the highest rate, 200 frames", "measured = resulting rate ± 1 %",
    "consistency of the camera", SHOULD, needs="str gapi", trace="r",
)  # fmt: skip
def highest_rate(camera: Camera) -> None:
    with camera.small(640, 488):
        due = resulting_rate(camera)
        with streaming(camera, depth=4) as stream:
            rate = rate_of(stream.shots(camera.run.count(60, 200)))
        camera.run.note(f"{rate:.3f} Hz, told {due:.3f} Hz")
        expect(abs(rate - due) <= 0.01 * due, f"{rate:.3f} Hz, the resulting rate says {due:.3f} Hz")


@camera_check(
    "ACQ-006", "ExposureTime 100 ms", "period ≥ 100 ms; frames whole", "consistency of the camera",
    needs="str gapi", trace="r",
)  # fmt: skip
def exposure_limits_rate(camera: Camera) -> None:
    camera.need("ExposureTime")
    exposure_us = min(100_000.0, float(camera.info("ExposureTime").maximum or 0))
    with camera.small(), camera.settings(ExposureTime=exposure_us):
        want = expected(camera)
        with streaming(camera) as stream:
            shots = stream.shots(4)
        expect_whole(shots, want, f"ExposureTime {exposure_us:.0f} us: ")
        shortest = min(periods(shots))
        expect(
            shortest >= exposure_us * 999,
            f"a period of {shortest / MS:.2f} ms with {exposure_us / 1000:.0f} ms of exposure",
        )


@camera_check(
    "ACQ-007", "Height to a half, a quarter", "rate never falls; rises where readout limits",
    "consistency of the camera", INFO, needs="str gapi", trace="r",
)  # fmt: skip
def lower_images_are_not_slower(camera: Camera) -> None:
    rates = []
    with camera.small(640, 1 << 30):
        full = camera.get_int("Height")
        for part in (1, 2, 4):
            with camera.settings(Height=camera.on_grid("Height", full // part)):
                rates.append(resulting_rate(camera))
                with streaming(camera) as stream:
                    measured = rate_of(stream.shots(4))
                expect(
                    abs(measured - rates[-1]) <= 0.02 * rates[-1],
                    f"{measured:.2f} Hz, told {rates[-1]:.2f} Hz",
                )
    camera.run.note(f"whole, half and quarter height: {', '.join(f'{rate:.1f}' for rate in rates)} Hz")
    expect(rates == sorted(rates), f"rates {rates} Hz for whole, half and quarter height")


@camera_check(
    "ACQ-008", "throughput limit to a half", "rate falls to what the limit allows ± 3 %", "SFNC 2.7", SHOULD,
    needs="str gapi", trace="r",
)  # fmt: skip
def limit_slows(camera: Camera) -> None:
    camera.need("DeviceLinkThroughputLimit")
    if not camera.writable("DeviceLinkThroughputLimit"):
        skip("DeviceLinkThroughputLimit cannot be written")
    with camera.settings(DeviceLinkThroughputLimitMode="On"), camera.small(640, 480):
        info = camera.info("DeviceLinkThroughputLimit")
        free = resulting_rate(camera)
        used = free * camera.required_payload
        low, step = int(info.minimum or 0), int(info.increment or 1)
        wanted = max(int(used / 2), low)
        limit = wanted - (wanted - low) % step
        want = expected(camera)
        with camera.settings(DeviceLinkThroughputLimit=limit), streaming(camera, depth=4) as stream:
            due = resulting_rate(camera)
            shots = stream.shots(camera.run.count(30, 100))
        rate = rate_of(shots)
        camera.run.note(f"{free:.1f} Hz without, {rate:.1f} Hz with a limit of {limit / 1e6:.1f} MB/s")
        expect_whole(shots, want, "at half the throughput: ")
        expect(abs(rate - due) <= 0.03 * due, f"{rate:.2f} Hz, {due:.2f} Hz result from the limit")
        expect(
            rate * want.payload <= limit * 1.03, f"{rate * want.payload:.0f} bytes/s with a limit of {limit}"
        )


@camera_check(
    "ACQ-009", "AcquisitionStatus entries, if present", "AcquisitionActive true between start and stop", "SFNC 2.7",
    SHOULD, needs="str gapi", trace="r",
)  # fmt: skip
def status(camera: Camera) -> None:
    camera.need("AcquisitionStatusSelector", "AcquisitionStatus")
    if "AcquisitionActive" not in camera.info("AcquisitionStatusSelector").entries:
        skip("AcquisitionStatusSelector has no entry AcquisitionActive")
    with camera.small(), camera.settings(AcquisitionStatusSelector="AcquisitionActive"):
        expect(not camera.get("AcquisitionStatus"), "AcquisitionActive is true before the start")
        with streaming(camera) as stream:
            stream.shots(2)
            camera.nodes.refresh()
            expect(camera.get("AcquisitionStatus"), "AcquisitionActive is false while frames come")
        camera.nodes.refresh()
        expect(not camera.get("AcquisitionStatus"), "AcquisitionActive is true after the stop")


@camera_check(
    "ACQ-010", "AcquisitionMode written while running", "refused, or effective at next start",
    "consistency of the camera", SHOULD, needs="str gapi", trace="r",
)  # fmt: skip
def mode_while_running(camera: Camera) -> None:
    _mode(camera, "SingleFrame")
    address, length = camera.register("AcquisitionMode")
    value = camera.description.entries("AcquisitionMode")["SingleFrame"]
    with camera.small(), camera.keep("AcquisitionMode"):
        want = expected(camera)
        with streaming(camera) as stream:
            shots = stream.shots(2)
            state = camera.write(address, value.to_bytes(length, "little"))
            camera.run.note(f"AcquisitionMode while acquiring: status {state:#06x}")
            shots += stream.shots(3)
        expect_whole(shots, want, "AcquisitionMode was written: ")


@camera_check(
    "ACQ-011", "time from AcquisitionStop's ack to the last byte",
    "≤ exposure + readout + transfer of the frames held", "SFNC 2.7", INFO, needs="str gapi", trace="r",
)  # fmt: skip
def how_long_a_stop_takes(camera: Camera) -> None:
    with camera.small(), streaming(camera, depth=4) as stream:
        stream.shots(4)
        period = period_ms(camera)
        stream.stop_acquisition()
        started, last = camera.now_ns(), camera.now_ns()
        while (shot := stream.shot(int(3 * period) + 200)) is not None:
            last = shot.at_ns[1]
        took_ms = (last - started) / MS
    camera.run.note(f"last byte {took_ms:.2f} ms after AcquisitionStop's acknowledge")
    expect(took_ms <= 1000 + 8 * period, f"the stream goes on for {took_ms:.0f} ms after the stop")


# triggers


@contextlib.contextmanager
def triggered(camera: Camera, selector: str = "") -> Iterator[None]:
    """A software trigger for each frame (or burst), in a small region."""
    camera.need("TriggerMode", "TriggerSource", "TriggerSoftware", "TriggerSelector")
    entries = camera.info("TriggerSelector").entries
    chosen = selector or next(
        (name for name in ("FrameStart", "ExposureStart") if name in entries), entries[0]
    )
    if chosen not in entries:
        skip(f"TriggerSelector has no entry {chosen}")
    if "Software" not in camera.info("TriggerSource").entries:
        skip("TriggerSource has no entry Software")
    with camera.small(), camera.settings(TriggerSelector=chosen, TriggerSource="Software", TriggerMode="On"):
        camera.wait_ms(period_ms(camera) + SETTLE_MS)  # a sensor that still reads out takes no trigger
        yield


def one_each(camera: Camera, stream: Stream, count: int) -> list[Shot]:
    shots = []
    for n in range(count):
        camera.execute("TriggerSoftware")
        shot = stream.shot()
        if shot is None:
            fail(f"no frame after trigger {n}")
        shots.append(shot)
    return shots


@camera_check(
    "TRG-001", "FrameStart On, Source Software, start, 0.3 s (level long: 1 s)", "silence", "SFNC 2.7",
    needs="trg gapi", trace="r",
)  # fmt: skip
def waits(camera: Camera) -> None:
    with triggered(camera), streaming(camera) as stream:
        stream.silence(camera.run.pause(300, 1000))


@camera_check(
    "TRG-002", "5 x TriggerSoftware, each after the previous frame; pulses of software signals; edges of a line",
    "one frame each; those edges and levels that TriggerActivation names (virtual)", "arv-test SoftwareTrigger",
    needs="trg gapi", trace="r",
)  # fmt: skip
def one_frame_each(camera: Camera) -> None:
    with triggered(camera):
        want = expected(camera)
        with streaming(camera) as stream:
            shots = one_each(camera, stream, 5)
            stream.silence(QUIET_MS)
            pulses_trigger(camera, lambda: stream.shot() is not None)
        expect_whole(shots, want)
        expect(
            [shot.block_id for shot in shots] == list(range(5)), f"block ids {[s.block_id for s in shots]}"
        )
        edges_trigger(camera)


@camera_check(
    "TRG-003", "100 triggers at 80 % of the highest rate", "100 frames, ids 0..99",
    "consistency of the camera (dart cameras need 6 ms and a delay: should)", SHOULD, needs="trg gapi", trace="r",
)  # fmt: skip
def fast_triggers(camera: Camera) -> None:
    with triggered(camera):
        with camera.settings(TriggerMode="Off"):
            pause_ms = period_ms(camera) / 0.8
        want = expected(camera)
        count = camera.run.count(50, 100)
        with streaming(camera, depth=8) as stream:
            shots: list[Shot] = []
            for _ in range(count):
                before = camera.now_ns()
                camera.execute("TriggerSoftware")
                camera.wait_ms(max(pause_ms - (camera.now_ns() - before) / MS, 0))
                shots += stream.shots(1)
        expect_whole(shots, want)
        ids = [shot.block_id for shot in shots]
        expect(
            ids == list(range(count)),
            f"{len(ids)} frames with block ids up to {ids[-1]} for {count} triggers",
        )


@camera_check(
    "TRG-004", "two triggers within one frame",
    "one or two frames, never a broken one; overtrigger event or counter if there is one", "SFNC 2.7", SHOULD,
    needs="trg gapi", trace="r",
)  # fmt: skip
def overtrigger(camera: Camera) -> None:
    with triggered(camera), camera.settings(ExposureTime=20_000.0):
        want = expected(camera)
        with streaming(camera) as stream:
            camera.execute("TriggerSoftware")
            camera.execute("TriggerSoftware")
            shots = stream.shots(1)
            second = stream.shot(500)
            shots += [second] if second is not None else []
            stream.silence(QUIET_MS)
        camera.run.note(f"{len(shots)} frames for two triggers within one exposure")
        expect_whole(shots, want, "two triggers within a frame: ")


@camera_check(
    "TRG-005", "trigger before AcquisitionStart, or with Source Line1", "no frame", "SFNC 2.7", needs="trg gapi",
    trace="r",
)  # fmt: skip
def too_early(camera: Camera) -> None:
    with triggered(camera):
        camera.execute_raw("TriggerSoftware")
        with streaming(camera) as stream:
            stream.silence(QUIET_MS)
            lines = [name for name in camera.info("TriggerSource").entries if name.startswith("Line")]
            if lines and camera.writable("TriggerSource"):
                with camera.settings(TriggerSource=lines[0]):
                    camera.execute_raw("TriggerSoftware")
                    stream.silence(QUIET_MS)


@camera_check(
    "TRG-006", "TriggerDelay 0 and 10 ms", "exposure later by 10 ms ± 1 ms (timestamps)", "SFNC 2.7", SHOULD,
    needs="trg gapi", trace="r",
)  # fmt: skip
def delay(camera: Camera) -> None:
    camera.need("TriggerDelay")
    with triggered(camera):
        delays, jitter_us = {}, 0.0
        for wanted_us in (0.0, 10_000.0):
            with camera.settings(TriggerDelay=wanted_us), streaming(camera) as stream:
                late = []
                for _ in range(5):
                    before = camera.latch()
                    shot = one_each(camera, stream, 1)[0]
                    late.append(shot.timestamp - before)
            delays[wanted_us] = min(late)  # the host was late with the others
            jitter_us = max(jitter_us, (sorted(late)[2] - min(late)) / 1000)
        grown_us = (delays[10_000.0] - delays[0.0]) / 1000
        camera.run.note(f"10 ms of TriggerDelay delay the exposure by {grown_us / 1000:.3f} ms")
        expect(
            abs(grown_us - 10_000) <= 1000 + jitter_us,
            f"TriggerDelay 10 ms delays by {grown_us / 1000:.3f} ms",
        )


@camera_check(
    "TRG-007", "TriggerMode Off again", "free run resumes", "consistency of the camera", needs="trg gapi",
    trace="r",
)  # fmt: skip
def free_again(camera: Camera) -> None:
    with triggered(camera):
        with streaming(camera) as stream:
            one_each(camera, stream, 2)
        with camera.settings(TriggerMode="Off"):
            want = expected(camera)
            with streaming(camera) as stream:
                shots = stream.shots(5)
            expect_whole(shots, want, "TriggerMode Off again: ")


@camera_check(
    "TRG-008", "burst: AcquisitionBurstFrameCount 3", "3 frames per FrameBurstStart", "SFNC 2.7", SHOULD,
    needs="trg gapi", trace="r",
)  # fmt: skip
def bursts(camera: Camera) -> None:
    camera.need("AcquisitionBurstFrameCount", "TriggerSelector")
    with triggered(camera, "FrameBurstStart"), camera.settings(AcquisitionBurstFrameCount=3):
        want = expected(camera)
        with streaming(camera, depth=4) as stream:
            shots: list[Shot] = []
            for _ in range(2):
                camera.execute("TriggerSoftware")
                shots += stream.shots(3)
                stream.silence(QUIET_MS)
        expect_whole(shots, want, "bursts of 3: ")


@camera_check(
    "TRG-009", "no trigger for 3 x the response time, IN requests pending",
    "frames after it whole, no transfer ended meanwhile", "response times of GenCP, Aravis issue 761",
    needs="trg gapi", trace="r",
)  # fmt: skip
def long_wait(camera: Camera) -> None:
    with triggered(camera):
        want = expected(camera)
        with streaming(camera) as stream:
            shots = one_each(camera, stream, 1)
            stream.silence(3 * camera.run.response_ms)
            shots += one_each(camera, stream, 2)
        expect_whole(shots, want, "after a long wait for a trigger: ")
