"""ROB, first part: packets that make no sense, hosts that vanish, starts and stops at any instant."""

import contextlib

from u3v.errors import U3VError
from u3v.host.bus import UsbOverflow, clear_halt, set_interface
from u3v.host.conformance.bootstrap import ABRM_STATIC
from u3v.host.conformance.camera import ENABLED, Camera, camera_check, expect, skip
from u3v.host.conformance.chance import Chance
from u3v.host.conformance.context import Context
from u3v.host.conformance.declare import INFO, SHOULD, Phase, check, unbuilt
from u3v.host.conformance.events import listening
from u3v.host.conformance.layout import EVENT, STREAM
from u3v.host.conformance.packets import readmem, writemem
from u3v.host.conformance.stream_flow import SETTLE_MS, begins_anew, disable, mid_frame, period_ms
from u3v.host.conformance.streaming import LEADER, Shot, expect_whole, expected, streaming
from u3v.host.conformance.timing import timed, within

SEED = 19670501
FIRST_COMMAND_MS = 32


def bootstrap(camera: Camera) -> bytes:
    """What never changes: versions, names, capability, limits, pointers."""
    return b"".join(camera.read(address, size) for _, address, size in ABRM_STATIC)


@camera_check(
    "ROB-004", "stop reading in mid-stream, close without any stop, open again",
    "all bootstrap registers readable; SI_Control=0 accepted; streams whole",
    "what hosts trip over; Aravis issue 295", needs="str gapi", trace="r",
)  # fmt: skip
def host_stops_reading(camera: Camera) -> None:
    before = bootstrap(camera)
    with camera.small(333, 241):
        with streaming(camera, begin=False) as stream:
            stream.start_acquisition()
            mid_frame(camera, stream)
            stream.drop()
            camera.run.open()
            expect(bootstrap(camera) == before, "registers differ after a host that stopped reading")
            _ = camera.sirm
            disable(camera)
            expect(camera.sirm.control == 0, "SI_Control = 0 has no effect after a host that stopped reading")
            camera.execute("AcquisitionStop")
        begins_anew(camera, "after a host that stopped reading")


unbuilt(
    "ROB-005", "as ROB-004, with the host program killed while 8 requests are queued", "as 004",
    "how hosts take frames; Aravis issue 295",
    "needs a program of its own that can be killed; ROB-004 leaves the camera in the same state", needs="str gapi",
)  # fmt: skip


@camera_check("ROB-006", "open, read, close 100 times", "success each", "consistency of the camera")
def opened_often(camera: Camera) -> None:
    for n in range(camera.run.count(20, 100)):
        camera.run.open()
        ack = camera.run.read(0, 4)
        expect(ack.ok, f"opened {n} times: {ack}")


@camera_check(
    "ROB-007", "start/stop 100 times, stops at random instants (seeded)", "last one whole; TIME-017 holds",
    "consistency of the camera", needs="str gapi", trace="r",
)  # fmt: skip
def stops_at_any_instant(camera: Camera) -> None:
    chance = Chance(SEED)
    camera.run.note(f"seed {SEED}")
    with camera.small(333, 41):
        for _ in range(camera.run.count(25, 100)):
            with streaming(camera) as stream:
                if chance.below(3):
                    stream.shots(chance.below(3))
                camera.wait_ms(chance.between(0, 3 * period_ms(camera)))
        begins_anew(camera, "after many stops", 5)


@camera_check(
    "ROB-008", "10 000 reads without pause", "no loss, the response time kept", "consistency of the camera",
)  # fmt: skip
def many_reads(camera: Camera) -> None:
    first = camera.read(0, 4)
    for n in range(camera.run.count(2000, 10_000)):
        expect(camera.run.read_whole(0, 4) == first, f"read {n} has other data")


def _settings(camera: Camera) -> list[object]:
    names = [name for name in ("Width", "Height", "PixelFormat", "ExposureTime", "Gain") if camera.has(name)]
    camera.refresh()
    return [bootstrap(camera), *(camera.get(name) for name in names)]


@camera_check(
    "ROB-009", "10 000 packets of random bytes (seeded), lengths 0..MaxCmd",
    "alive after each 100; settings unchanged", "reliability", needs="sim", trace="r",
)  # fmt: skip
def random_packets(camera: Camera) -> None:
    run, chance, before = camera.run, Chance(SEED), _settings(camera)
    run.note(f"seed {SEED}")
    for n in range(run.count(1000, 10_000)):
        run.bulk_out(run.control_out, chance.data(chance.below(run.max_command + 1)))
        if n % 100 == 99:
            run.catch_up()
            run.alive()
    expect(_settings(camera) == before, "settings changed by bytes that are no command")


@camera_check(
    "ROB-010", "10 000 valid commands with 1..3 flipped bits (seeded), addresses masked to RO registers",
    "alive; RO unchanged", "consistency of the camera", needs="sim", trace="r",
)  # fmt: skip
def flipped_bits(camera: Camera) -> None:
    run, chance, before = camera.run, Chance(SEED), _settings(camera)
    run.note(f"seed {SEED}")
    for n in range(run.count(600, 10_000)):
        command = (
            readmem(n & 0x7FFF or 1, 0, 4) if chance.below(2) else writemem(n & 0x7FFF or 1, 0, bytes(4))
        )
        packet = bytearray(command)
        for _ in range(1 + chance.below(3)):
            at = chance.one_of(
                [*range(12), *range(20, len(packet))]
            )  # not the address, which is of a read-only one
            packet[at] ^= 1 << chance.below(8)
        run.bulk_out(run.control_out, bytes(packet))
        if n % 4 == 3:
            run.catch_up()
        if n % 100 == 99:
            run.alive()
    run.drain(run.silence_ms)
    expect(_settings(camera) == before, "registers changed by damaged commands")


@camera_check(
    "ROB-011", "OUT transfers of 0..MaxCmd+64 bytes 0xFF", "alive", "consistency of the camera", needs="sim",
    trace="r",
)  # fmt: skip
def lengths(camera: Camera) -> None:
    run = camera.run
    around = [512, 1024, run.max_command]
    sizes = sorted({*range(0, run.max_command + 65, 37), *(at + by for at in around for by in (-1, 0, 1))})
    for size in sizes:
        run.bulk_out(run.control_out, b"\xff" * size)
    run.drain(run.silence_ms)
    run.alive()


TEST_MODE = 2
_APART = {(0x00, 0x05), (0x00, 0x09), (0x01, 0x0B), (0x02, 0x03), (0x00, 0x31), (0x00, 0x30)}
"""Requests that act: SET_ADDRESS, SET_CONFIGURATION, SET_INTERFACE, a halt, SET_ISOCH_DELAY, SET_SEL."""


@camera_check(
    "ROB-012", "1000 random setup packets but SET_ADDRESS, TEST_MODE, vendor", "STALL or legal answer; alive",
    "USB 3.2 9.4", needs="sim", trace="r",
)  # fmt: skip
def random_requests(camera: Camera) -> None:
    run, chance, before = camera.run, Chance(SEED), _settings(camera)
    run.note(f"seed {SEED}")
    for n in range(run.count(300, 1000)):
        kind = chance.one_of((0x00, 0x01, 0x02, 0x80, 0x81, 0x82, 0x21, 0xA1))
        request = chance.below(0x40)
        value, index, length = chance.below(1 << 16), chance.below(1 << 16), chance.below(64)
        if (kind, request) in _APART or (kind, request, value) == (0x00, 0x03, TEST_MODE):
            continue
        run.request(kind, request, value, index, length if kind & 0x80 else chance.data(length))
        if n % 100 == 99:
            run.alive()
    run.got(run.configure(run.layout.value))
    expect(_settings(camera) == before, "settings changed by requests that make no sense")


@camera_check(
    "ROB-013", "control, events, stream, endpoint 0 all busy 30 s", "no error in any", "consistency of the camera",
    needs="str gapi", trace="r",
)  # fmt: skip
def everything_at_once(camera: Camera) -> None:
    run = camera.run
    has_events = run.layout.pipe(EVENT) is not None
    with camera.small(333, 41, ExposureTime=5000.0):
        want = expected(camera)
        listener = listening(camera) if has_events else contextlib.nullcontext()
        with listener as events, streaming(camera, depth=4) as stream:
            if events is not None:
                events.post(8)
            shots: list[Shot] = []
            end = camera.now_ns() + run.count(1, 30) * 10**9
            while camera.now_ns() < end and len(shots) < 1000:
                shots += stream.shots(1)
                camera.read(0, 4)
                run.got(run.request(0x80, 0, 0, 0, 2), 2)
                if events is not None and len(shots) % 16 == 0:
                    camera.write(camera.ei + 8, ENABLED)
        expect_whole(shots, want, "with everything busy: ")


@camera_check(
    "ROB-014", "2 s (level long: 30 min) without a request",
    "first command ≤ 32 ms, nothing sent unasked, settings kept", "consistency of the camera",
)  # fmt: skip
def long_idle(camera: Camera) -> None:
    run, before = camera.run, _settings(camera)
    seconds = run.count(60 if camera.simulated else 2, 1800)
    data = camera.bytes_on(run.control_in, run.max_ack_bytes, seconds * 1000)
    expect(data is None, f"{len(data or b'')} bytes on the control channel that nobody asked for")
    took = timed(camera, lambda: camera.read(0, 4))
    for _ in range(0 if camera.simulated else 2):
        if took > FIRST_COMMAND_MS * 10**6:  # it may have been the host
            camera.wait_ms(500)
            took = min(took, timed(camera, lambda: camera.read(0, 4)))
    expect(took <= FIRST_COMMAND_MS * 10**6, f"the first command after {seconds} s took {took / 1e6:.1f} ms")
    expect(_settings(camera) == before, f"settings changed in {seconds} s of doing nothing")


unbuilt(
    "ROB-015", "suspend 2 s, resume, idle and streaming",
    "configuration, registers kept; read success; stream stopped or resumes at a leader",
    "Command Verifier suspend/resume", "no route can suspend a port under the program's control yet", SHOULD,
    needs="bus",
)  # fmt: skip


@camera_check(
    "ROB-018", "SET_CONFIGURATION 0, v 5 times (level long: 20) in mid-stream", "each time silent, then whole",
    "what hosts trip over", needs="str gapi", trace="r",
)  # fmt: skip
def reconfigured_often(camera: Camera) -> None:
    with camera.small(333, 241):
        for n in range(camera.run.count(5, 20)):
            with streaming(camera, begin=False) as stream:
                stream.start_acquisition()
                mid_frame(camera, stream)
                stream.drop()
                camera.reconfigure()
                expect(
                    camera.sirm.control == 0,
                    f"SI_Control reads {camera.sirm.control} after SET_CONFIGURATION",
                )
                quiet = camera.bytes_on(camera.run.stream_in, 1 << 16, SETTLE_MS)
                expect(quiet is None, f"time {n}: data after SET_CONFIGURATION 0 and back")
                stream.acquiring = False
                with contextlib.suppress(U3VError):
                    camera.nodes.set("AcquisitionStop", 1)
            begins_anew(camera, f"after SET_CONFIGURATION in mid-frame, time {n}")


@camera_check(
    "ROB-019", "SET_INTERFACE(stream,0) in mid-stream", "next transfer a leader or silence", "USB 3.2 9.4.10",
    needs="str gapi", trace="r",
)  # fmt: skip
def interface_set(camera: Camera) -> None:
    number = camera.run.layout.of(STREAM)[0].number
    with camera.small(333, 241):
        with streaming(camera, begin=False) as stream:
            stream.start_acquisition()
            mid_frame(camera, stream)
            stream.drop()
            try:
                set_interface(camera.bus, number, 0)
            except U3VError as error:
                skip(f"SET_INTERFACE is refused: {error}")
            data = camera.bytes_on(camera.run.stream_in, 1 << 16, 500)
            expect(
                data is None or data[:4] == LEADER,
                f"{len(data or b'')} bytes of the old frame after SET_INTERFACE",
            )
        begins_anew(camera, "after SET_INTERFACE in mid-frame")


@camera_check(
    "ROB-020", "cancel all requests in mid-frame, 50 times, restart", "each cancel ≤ 100 ms; whole",
    "what hosts trip over", needs="str gapi", trace="r",
)  # fmt: skip
def cancelled(camera: Camera) -> None:
    limit, samples = 100 * 10**6, []
    with camera.small(333, 241):
        for _ in range(camera.run.count(15, 50)):
            with streaming(camera, begin=False) as stream:
                stream.start_acquisition()
                mid_frame(camera, stream)
                for _ in range(3):
                    stream.post()
                samples.append(timed(camera, stream.drop))
        within(camera, samples, limit, "taking requests back")
        begins_anew(camera, "after requests were taken back in mid-frame")


unbuilt(
    "ROB-022", "second opener while the first streams", "EBUSY for it; first undisturbed", "Aravis issue 290",
    "a route has one opener; the tests of the transports have two", SHOULD, needs="str gapi",
)  # fmt: skip
unbuilt(
    "ROB-023", "two devices streaming on one bus", "both whole or with honest losses (ids, A100); GUIDs differ",
    "Aravis issue 781", "needs two cameras on one bus under one run", SHOULD, needs="2dev str gapi",
)  # fmt: skip
unbuilt(
    "ROB-024", "unplug one of two", "the other loses nothing", "Aravis issue 301",
    "needs two cameras on one bus under one run", SHOULD, needs="2dev bus",
)  # fmt: skip


@camera_check(
    "ROB-025", "a buffer of 52 bytes as leader buffer while payload comes (stream out of step on purpose)",
    "babble reported (-EOVERFLOW), nothing hangs; halt, clear, SI_Control 0/1: whole",
    "transfer rules of USB3 Vision", SHOULD, needs="str gapi", trace="r",
)  # fmt: skip
def out_of_step(camera: Camera) -> None:
    with camera.small(333, 241):
        with streaming(camera, begin=False) as stream:
            stream.start_acquisition()
            mid_frame(camera, stream)
            try:
                data = camera.bytes_on(camera.run.stream_in, 52, 3000)
                camera.run.note(f"a buffer of 52 bytes for payload: {len(data or b'')} bytes, no babble")
            except UsbOverflow:
                camera.run.note("a buffer of 52 bytes for payload: babble")
            clear_halt(camera.bus, camera.run.stream_in)
            disable(camera)
        begins_anew(camera, "after a buffer that was too small")


unbuilt(
    "ROB-027", "stream request ended with -EPROTO by the host (injected)", "clear halt + enable: whole",
    "rockchip-linux#349",
    "needs a host controller that ends a request with -EPROTO on purpose (faults do it at the device)", SHOULD,
    needs="sim str gapi",
)  # fmt: skip


@camera_check(
    "ROB-028", "soak: 10 min random mix of the above legal actions (seeded)",
    "no must-failure; offered = delivered + discarded where the device tells; TIME-017", "reliability",
    needs="str gapi", trace="r",
)  # fmt: skip
def soak(camera: Camera) -> None:
    chance = Chance(SEED)
    camera.run.note(f"seed {SEED}")
    actions = (host_stops_reading, cancelled_once, out_of_step, stops_once, interface_set)
    for _ in range(camera.run.count(8, 400)):
        chance.one_of(actions)(camera)
    camera.run.alive()


def stops_once(camera: Camera) -> None:
    with camera.small():
        begins_anew(camera, "soak", 4)


def cancelled_once(camera: Camera) -> None:
    with camera.small(333, 41), streaming(camera) as stream:
        stream.shots(1)
        stream.drop()


unbuilt(
    "ROB-029", "over-temperature, brown-out, port trip (virtual)",
    "told by event, feature or disconnect; comes back by itself or on power cycle", "reliability",
    "needs heat and a supply under the program's control; the tests of those do it", INFO, needs="sim",
)  # fmt: skip


@check(
    "ROB-030", "all run: requests that end with NO_DEVICE, EPROTO or another error which no check provoked", "none",
    "reliability; faults seen in the field", phase=Phase.JOURNAL,
)  # fmt: skip
def no_trouble(run: Context) -> None:
    troubles = [f"{where}: {what}" for where, what in run.journal.troubles]
    run.none_of(troubles, "requests ended with an error nobody provoked")
