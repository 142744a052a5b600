"""TIME: how long answers take, how even the frames come, and what the camera's clock is worth.

Every verdict names the clock it was measured with. On a real one, several bad samples make a failure; a simulated
one is exact.
"""

import statistics
from collections.abc import Callable, Sequence

from u3v.host.conformance.acq import one_each, periods, resulting_rate, triggered
from u3v.host.conformance.camera import MS, Camera, camera_check, camera_of, expect, skip
from u3v.host.conformance.context import Context
from u3v.host.conformance.declare import INFO, SHOULD, Failed, Phase, check
from u3v.host.conformance.events import listening, provoke
from u3v.host.conformance.packets import HEAD_BYTES, writemem
from u3v.host.conformance.stream_flow import period_ms
from u3v.host.conformance.streaming import expect_whole, expected, streaming, usual_plan

LINK_BYTES_PER_S = {"HS": 30_000_000, "SS": 200_000_000}
"""What any link of this speed carries; no camera has to be faster (assumed)."""
SLACK_NS = 5 * MS
"""What a host of several tasks adds to a measurement now and then."""
STREAM_CLOCK_US, WAITED_NS, ENOUGH = 50_000.0, 20 * MS, 3
"""The exposure of TIME-015. Who had to wait so long for a frame has had it when it came, another one may have lain in
the camera's memory; and so many in each half of the time tell."""


def percentile(samples: Sequence[float], share: float) -> float:
    ordered = sorted(samples)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def within(camera: Camera, samples: Sequence[int], limit_ns: float, what: str) -> None:
    """Fails where too many samples (ns) are beyond the limit: one on an exact clock, else three or one in a hundred."""
    bad = [sample for sample in samples if sample > limit_ns]
    enough = 1 if camera.simulated else max(3, len(samples) // 100)
    p50, p99 = percentile(samples, 0.5) / 1000, percentile(samples, 0.99) / 1000
    camera.run.note(
        f"{what}: {len(samples)} samples, p50 {p50:.1f} us, p99 {p99:.1f} us, max {max(samples) / 1000:.1f} us"
    )
    expect(len(bad) < enough, f"{what}: {max(samples) / MS:.2f} ms, {limit_ns / MS:.2f} ms are allowed")


def typical(camera: Camera, samples: Sequence[int], limit_ns: float, what: str) -> None:
    """As `within`; on a clock that is not exact the median counts, for the rest may be the host's."""
    middle, longest = statistics.median(samples), max(samples)
    camera.run.note(f"{what}: median {middle / 1000:.1f} us, longest {longest / 1000:.1f} us")
    judged = longest if camera.simulated else middle
    expect(judged <= limit_ns, f"{what}: {judged / MS:.2f} ms, {limit_ns / MS:.2f} ms are allowed")


def timed(camera: Camera, action: Callable[[], object]) -> int:
    """How long it takes, ns."""
    started = camera.now_ns()
    action()
    return camera.now_ns() - started


def _reads(camera: Camera, count: int, address: int = 0) -> list[int]:
    return [timed(camera, lambda: camera.read(address, 4)) for _ in range(count)]


@camera_check(
    "TIME-001", "1000 reads of register 0, idle",
    "max ≤ the response time (+ bus time); p50, p99, max and plot reported", "GenCP 1.3 3.1.1",
)  # fmt: skip
def response_time(camera: Camera) -> None:
    samples = _reads(camera, camera.run.count(300, 1000))
    for sample in samples:
        camera.run.journal.record("response time, idle (us)", sample / 1000)
    within(camera, samples, camera.run.response_ms * MS + SLACK_NS, "read of 4 bytes")


@camera_check(
    "TIME-002", "first 10 commands after open (strings, pointers, the response time)", "each ≤ 32 ms",
    "what hosts trip over: Aravis", SHOULD,
)  # fmt: skip
def first_commands(camera: Camera) -> None:
    camera.reconfigure()
    places = [(0, 4), (0x1C4, 8), (0x1CC, 4), (0x1D0, 8), (0x1D8, 8), (0x004, 64), (0x044, 64), (0x144, 64)]
    places += [(camera.run.sbrm, 4), (camera.run.sbrm + 0x14, 4)]
    samples = [timed(camera, lambda p=place: camera.read(*p)) for place in places]  # type: ignore[misc]
    within(camera, samples, 32 * MS, "first commands")


@camera_check(
    "TIME-003", "read of Maximum_Device_Response_Time 20 times", "≤ 50 ms", "GenCP 1.3 5.4.10", SHOULD,
)  # fmt: skip
def time_of_the_limit(camera: Camera) -> None:
    within(camera, _reads(camera, 20, 0x1CC), 50 * MS, "read of Maximum_Device_Response_Time")


def _write_times(camera: Camera) -> tuple[list[int], list[int]]:
    """Time until the first answer (acknowledge or PENDING_ACK), and until acknowledges without one, ns."""
    first, plain = [], []
    for name in camera.sweepable():
        register = camera.device_register(name)
        place = camera.place(register) if register is not None else None
        if place is None or camera.info(name).access != "RW" or place[1] > 64:
            continue
        ack = camera.run.answered(writemem(camera.run.next_id(), place[0], camera.read(*place)))
        began = ack.pending[0] if ack.pending else ack
        first.append(began.came_ns - ack.sent_ns)
        if not ack.pending:
            plain.append(ack.came_ns - ack.sent_ns)
    if not first:
        skip("no feature is writable")
    return first, plain


@camera_check(
    "TIME-004", "every write of the FEAT sweep", "ack or PENDING_ACK ≤ the response time", "GenCP 1.3 3.1.2",
    trace="r",
)  # fmt: skip
def writes_answered(camera: Camera) -> None:
    within(camera, _write_times(camera)[0], camera.run.response_ms * MS + SLACK_NS, "first answer to a write")


@camera_check(
    "TIME-005", "writes that no PENDING_ACK announced", "≤ 300 ms", "GenCP 1.3 3.1.1", SHOULD, trace="r",
)  # fmt: skip
def writes_quick(camera: Camera) -> None:
    plain = _write_times(camera)[1]
    if not plain:
        skip("every write was answered with a PENDING_ACK first")
    within(camera, plain, 300 * MS, "acknowledge of a write")


@camera_check(
    "TIME-006", "1000 reads while streaming at full rate", "max ≤ the response time",
    "consistency of the camera; other hosts as observed: control ahead of stream", needs="str gapi",
)  # fmt: skip
def response_beside_the_stream(camera: Camera) -> None:
    samples: list[int] = []
    with camera.small(640, 488), streaming(camera, usual_plan(camera, 1 << 20), depth=4) as stream:
        while len(samples) < camera.run.count(300, 1000):
            stream.shots(1)
            samples += _reads(camera, 10)
    for sample in samples:
        camera.run.journal.record("response time, streaming (us)", sample / 1000)
    within(camera, samples, camera.run.response_ms * MS + SLACK_NS, "read while frames come")


@camera_check(
    "TIME-007", "standard requests without data stage; with", "≤ 50 ms; first data ≤ 500 ms, all ≤ 5 s",
    "USB 2.0 9.2.6.4; USB 3.2 9.2.6",
)  # fmt: skip
def standard_requests(camera: Camera) -> None:
    run = camera.run
    value = run.layout.value
    without = {
        "SET_CONFIGURATION": lambda: run.got(run.configure(value)),
        "SET_INTERFACE": lambda: run.request(0x01, 0x0B, 0, run.layout.interfaces[0].number),
        "CLEAR_FEATURE": lambda: run.clear_halt(run.control_in),
    }
    reading = {
        "GET_DESCRIPTOR(device)": lambda: run.got(run.descriptor(1, 0, 18)),
        "GET_DESCRIPTOR(configuration)": lambda: run.read_configuration(),
        "GET_STATUS": lambda: run.got(run.request(0x80, 0, 0, 0, 2)),
        "GET_CONFIGURATION": lambda: run.got(run.request(0x80, 8, 0, 0, 1)),
    }
    for group, limit_ms in ((without, 50), (reading, 500)):
        for name, action in group.items():
            samples = [timed(camera, action) for _ in range(5)]
            within(camera, samples, limit_ms * MS, name)


@camera_check(
    "TIME-008", "whole XML at MaxAck-12", "≤ 10 s", "delivery of the XML; consistency of the camera", SHOULD,
)  # fmt: skip
def time_of_the_xml(camera: Camera) -> None:
    entry = camera.run.xml.entry
    step = camera.run.max_ack - HEAD_BYTES
    took = 0
    for at in range(0, entry.size, step):
        size = min(step, entry.size - at)
        took += timed(camera, lambda a=at, n=size: camera.run.read_whole(entry.address + a, n))  # type: ignore[misc]
    within(camera, [took], 10_000 * MS, f"{entry.size} bytes of XML")


@camera_check(
    "TIME-009", "300 frame intervals by leader timestamps",
    "median = 1/rate ± 0.1 %; max ≤ 1.5 x median; histogram", "consistency of the camera", SHOULD, needs="str gapi",
    trace="r",
)  # fmt: skip
def even_frames(camera: Camera) -> None:
    with camera.small(640, 488):
        due_ns = 1e9 / resulting_rate(camera)
        with streaming(camera, usual_plan(camera, 1 << 20), depth=8) as stream:
            intervals = periods(stream.shots(camera.run.count(100, 300)))
    for interval in intervals:
        camera.run.journal.record("frame interval, by timestamp (us)", interval / 1000)
    median, longest = statistics.median(intervals), max(intervals)
    camera.run.note(
        f"median {median / 1000:.2f} us, longest {longest / 1000:.2f} us, told {due_ns / 1000:.2f} us"
    )
    expect(
        abs(median - due_ns) <= 0.001 * due_ns + 1, f"median {median:.0f} ns, the rate says {due_ns:.0f} ns"
    )
    expect(longest <= 1.5 * median, f"an interval of {longest} ns, the median is {median:.0f} ns")


@camera_check(
    "TIME-010", "frame intervals by arrival", "reported beside it (host's jitter)", "consistency of the camera",
    INFO, needs="str gapi", trace="r",
)  # fmt: skip
def arrivals(camera: Camera) -> None:
    with camera.small(640, 488), streaming(camera, usual_plan(camera, 1 << 20), depth=8) as stream:
        shots = stream.shots(camera.run.count(100, 300))
    came = [b.at_ns[0] - a.at_ns[0] for a, b in zip(shots, shots[1:], strict=False)]
    for interval in came:
        camera.run.journal.record("frame interval, by arrival (us)", interval / 1000)
    camera.run.note(
        f"by arrival: median {statistics.median(came) / 1000:.1f} us, longest {max(came) / 1000:.1f} us"
    )


@camera_check(
    "TIME-011", "AcquisitionStart to first leader, 10 times", "≤ exposure + readout + period + 500 ms",
    "consistency of the camera", SHOULD, needs="str gapi", trace="r",
)  # fmt: skip
def first_frame(camera: Camera) -> None:
    with camera.small():
        exposure_ns = camera.get_float("ExposureTime") * 1000 if camera.has("ExposureTime") else 0.0
        limit = exposure_ns + 2 * period_ms(camera) * MS + 500 * MS
        samples = []
        for _ in range(10):
            with streaming(camera, begin=False) as stream:
                stream.post()
                stream.start_acquisition()
                started = camera.now_ns()
                samples.append(stream.shots(1)[0].at_ns[0] - started)
    within(camera, samples, limit, "AcquisitionStart to the first leader")


@camera_check(
    "TIME-012", "leader to trailer", "≤ SI_Required_Payload_Size / (rate of link or limit) + readout",
    "consistency of the camera", INFO, needs="str gapi", trace="r",
)  # fmt: skip
def time_of_a_frame(camera: Camera) -> None:
    with camera.small(640, 488):
        limit = LINK_BYTES_PER_S[camera.run.speed]
        if (
            camera.has("DeviceLinkThroughputLimit")
            and camera.info("DeviceLinkThroughputLimit").access == "RW"
        ):
            limit = min(limit, camera.get_int("DeviceLinkThroughputLimit"))
        due_ns = camera.sirm.required_payload * 1e9 / limit + period_ms(camera) * MS
        with streaming(camera, usual_plan(camera, 1 << 20)) as stream:
            took = [shot.at_ns[1] - shot.at_ns[0] for shot in stream.shots(20)]
    typical(camera, took, due_ns + SLACK_NS, "leader to trailer")


@camera_check(
    "TIME-013", "TriggerSoftware ack to leader, 30 times", "mean, σ, max; σ reported", "consistency of the camera",
    INFO, needs="trg gapi", trace="r",
)  # fmt: skip
def trigger_latency(camera: Camera) -> None:
    with triggered(camera), streaming(camera) as stream:
        samples = []
        for _ in range(camera.run.count(15, 30)):
            before = camera.latch()
            shot = one_each(camera, stream, 1)[0]
            samples.append((shot.timestamp - before) / 1000)
            camera.run.journal.record("trigger to exposure (us)", samples[-1])
            camera.wait_ms(period_ms(camera))
    camera.run.note(
        f"latch before TriggerSoftware to the leader's timestamp: mean {statistics.mean(samples):.1f} us,"
        f" sigma {statistics.pstdev(samples):.1f} us, longest {max(samples):.1f} us"
    )
    expect(
        statistics.pstdev(samples) <= 10_000,
        f"the trigger's latency varies by {statistics.pstdev(samples):.0f} us",
    )


@check(
    "TIME-014", "latched clock against host clock since the run began, over 4 s or more (level long: 10 s)",
    "≤ 200 ppm (gross errors x10, x0.694, us for ns are sold: should)", "GenCP 1.3 5.4.16; arv-test remarks",
    SHOULD, trace="r", at_start=lambda run: _latched(camera_of(run)),
)  # fmt: skip
def clock_against_host(run: Context) -> None:
    camera = camera_of(run)
    try:
        _keeps_time(camera, run.kept["TIME-014"])
    except Failed as failed:  # it may have been off the bus, or reset, in between
        run.note(f"since the run began: {failed}; measured anew")
        _keeps_time(camera, _latched(camera))


def _keeps_time(camera: Camera, since: tuple[int, int, int]) -> None:
    """Fails where the camera's clock goes otherwise than the host's; waits where not enough time has passed."""
    begin, *first = since
    camera.wait_ms(max(camera.run.count(4000, 10_000) - (camera.now_ns() - first[1]) / MS, 0))
    end, *last = _latched(camera)
    least, most = last[0] - first[1], last[1] - first[0]
    ppm = (2 * (end - begin) / (least + most) - 1) * 1e6
    camera.run.note(
        f"the camera's clock is {ppm:+.1f} ppm off the host's, within {(most - least) / 1e3:.0f} us"
        f" in {least / 1e9:.0f} s"
    )
    right = least * (1 - 200e-6) <= end - begin <= most * (1 + 200e-6)
    expect(right, f"{end - begin} ns of the camera's clock in {least} to {most} ns")


def _latched(camera: Camera) -> tuple[int, int, int]:
    """The camera's clock, and the host's before and after it was latched, ns."""
    before = camera.now_ns()
    value = camera.latch()
    return value, before, camera.now_ns()


@camera_check(
    "TIME-015", "leader clock against latched clock over the same time, by frames that had to be waited for",
    "≤ 10 ppm", "consistency of the camera", SHOULD, needs="str gapi", trace="r",
)  # fmt: skip
def stream_clock(camera: Camera) -> None:
    halves: tuple[list[int], list[int]] = [], []
    taken = elapsed = 0
    with camera.small(ExposureTime=STREAM_CLOCK_US), streaming(camera) as stream:
        long_ns = camera.run.count(2_000 if camera.simulated else 1_000, 10_000) * MS
        begin = camera.latch()
        while elapsed < long_ns:
            asked_ns = camera.now_ns()
            shot = stream.shots(1)[0]
            latched, taken = camera.latch(), taken + 1
            elapsed = latched - begin
            if shot.at_ns[0] - asked_ns >= WAITED_NS:
                halves[elapsed > long_ns // 2].append(latched - shot.timestamp)
    if min(map(len, halves)) < ENOUGH:
        waited = sum(map(len, halves))
        skip(f"this host is slow: it had to wait for {waited} of {taken} frames, the others had come before")
    moved = abs(min(halves[1]) - min(halves[0]))  # the least of each: the host was late with the others
    slack = (100_000 if camera.simulated else 4 * SLACK_NS) + 10e-6 * elapsed
    camera.run.note(f"leader clock against latched clock: {moved / 1000:.1f} us in {elapsed / 1e9:.1f} s")
    expect(
        moved <= slack,
        f"leader clock and latched clock move apart by {moved / MS:.3f} ms in {elapsed / 1e9:.1f} s",
    )


@camera_check(
    "TIME-016", "event latency (timestamp to arrival by latch mapping)", "p99 ≤ 50 ms", "consistency of the camera",
    INFO, needs="evt", trace="r",
)  # fmt: skip
def event_latency(camera: Camera) -> None:
    with listening(camera) as events:
        begin, started = camera.latch(), camera.now_ns()
        found = provoke(camera, events, 10)
    if not found:
        skip("no way to make the camera send an event")
    late = [(message.at_ns - started) - (message.timestamp - begin) for message in found]
    typical(camera, late, 50 * MS, "timestamp of an event to its arrival")


@camera_check(
    "TIME-017", "response times of the first and last 10 % of the run", "no growth beyond 20 %",
    "consistency of the camera: leaks", SHOULD, phase=Phase.JOURNAL,
)  # fmt: skip
def no_growth(camera: Camera) -> None:
    taken = [
        e.answer.came_ns - e.sent_ns for e in camera.run.journal.exchanges if e.answer is not None and e.due
    ]
    if len(taken) < 200:
        skip(f"only {len(taken)} commands were answered in this run")
    tenth = len(taken) // 10
    begin, end = statistics.median(taken[:tenth]), statistics.median(taken[-tenth:])
    camera.run.note(f"median of the first tenth {begin / 1000:.1f} us, of the last {end / 1000:.1f} us")
    expect(
        end <= 1.2 * begin + 100_000, f"response times grew from {begin / 1000:.1f} to {end / 1000:.1f} us"
    )


@camera_check(
    "TIME-018", "the response time against the frame period: as told, and as small frames come",
    "the response time ≥ both (else hosts that use it as stream time-out lose frames)",
    "what hosts trip over: Aravis issue 761", INFO, needs="str gapi", trace="r",
)  # fmt: skip
def limit_and_period(camera: Camera) -> None:
    told = period_ms(camera)
    with camera.small(), streaming(camera) as stream:
        shots = stream.shots(4)
    came = max(b.at_ns[0] - a.at_ns[0] for a, b in zip(shots, shots[1:], strict=False)) / MS
    limit = camera.run.response_ms
    camera.run.note(
        f"period {told:.1f} ms, frames up to {came:.1f} ms apart, the response time is {limit} ms"
    )
    expect(
        limit >= max(told, came),
        f"frames are {max(told, came):.0f} ms apart: hosts that take the response time of {limit} ms as a limit for"
        " frames lose some",
    )


@camera_check(
    "TIME-019", "payload rate at full speed", "reported, ≥ 90 % of the limit or of SI_Required_Payload_Size x rate",
    "consistency of the camera", INFO, needs="str gapi", trace="r",
)  # fmt: skip
def payload_rate(camera: Camera) -> None:
    with camera.small(1024, 768):
        want = expected(camera)
        due = resulting_rate(camera) * want.payload
        with streaming(camera, usual_plan(camera, 1 << 20), depth=8) as stream:
            shots = stream.shots(camera.run.count(30, 200))
        expect_whole(shots, want)
    elapsed = shots[-1].at_ns[1] - shots[0].at_ns[1]
    rate = (len(shots) - 1) * want.payload * 1e9 / elapsed
    camera.run.note(f"{rate / 1e6:.1f} MB/s of payload, told {due / 1e6:.1f} MB/s")
    expect(rate >= 0.9 * due, f"{rate / 1e6:.1f} MB/s of payload, {due / 1e6:.1f} MB/s are told")


@camera_check("TIME-020", "halts, SET_INTERFACE", "≤ 50 ms", "USB 2.0 9.2.6.4", SHOULD, trace="r")
def halts(camera: Camera) -> None:
    run = camera.run
    samples = []
    for endpoint in run.layout.bulk:
        samples.append(timed(camera, lambda e=endpoint: run.set_halt(e.address)))  # type: ignore[misc]
        samples.append(timed(camera, lambda e=endpoint: run.clear_halt(e.address)))  # type: ignore[misc]
    within(camera, samples, 50 * MS, "halt and clear halt")
