"""USB-EP: halts, toggles and cancelled requests of the bulk endpoints (USB 3.2 clauses 9.4.5, 9.4.9, 9.4.10)."""

from u3v.host.conformance.camera import EI_TEST, camera_of
from u3v.host.conformance.context import EI_CONTROL, SI_CONTROL, Context
from u3v.host.conformance.declare import SHOULD, Phase, check
from u3v.host.conformance.endpoint0 import NO_ANSWER
from u3v.host.conformance.layout import EVENT, STREAM
from u3v.host.conformance.packets import readmem
from u3v.host.conformance.streaming import LEADER, expect_whole, expected, streaming

PROBE_BYTES = 20
"""What pylon reads from a halted endpoint to see whether it stalls."""
NO_ANSWER_MS = 200


def works(c: Context, address: int) -> None:
    """An endpoint does what it is for. Raises Failed."""
    if address in (c.control_out, c.control_in):
        return c.alive()
    stream, event = c.layout.pipe(STREAM), c.layout.pipe(EVENT)
    if stream is not None and address == stream.address:
        frames_come(c)
    elif event is not None and address == event.address:
        test_event(c)


def frames_come(c: Context) -> None:
    camera = camera_of(c)
    want = expected(camera)
    with streaming(camera, depth=1) as stream:
        expect_whole(stream.shots(2), want)


def test_event(c: Context) -> None:
    """A test event comes where the camera has one; else the endpoint is silent, as it should be."""
    c.wr_number(c.eirm + EI_CONTROL, 1)
    try:
        tried = c.write(c.eirm + EI_TEST, b"\x01\0\0\0")
        reply = c.bulk_in(c.event_in, 1024, 1000 if tried.ok else NO_ANSWER_MS)
        right = reply.data[:4] == b"U3VE" if tried.ok else reply.error == NO_ANSWER
        c.expect(right, f"{reply}, {'where the test event is due' if tried.ok else 'where silence is due'}")
    finally:
        c.wr_number(c.eirm + EI_CONTROL, 0)


def addresses(c: Context) -> list[int]:
    return [endpoint.address for endpoint in c.layout.bulk]


def use(c: Context, address: int) -> str:
    """Twenty bytes from or to an endpoint; how it ended."""
    reply = (
        c.bulk_in(address, PROBE_BYTES, NO_ANSWER_MS)
        if address & 0x80
        else c.bulk_out(address, bytes(PROBE_BYTES), NO_ANSWER_MS)
    )
    return reply.error or "data"


@check(
    "USB-EP-001", "SET_FEATURE(HALT) of each bulk endpoint", "succeeds, and its status is 1",
    "USB 3.2 9.4.9; CV TD9.9; usbtest case 13", trace="r",
)  # fmt: skip
def halt(c: Context) -> None:
    for address in addresses(c):
        c.set_halt(address)
        status = c.status_of(address)
        c.clear_halt(address)
        c.same(status, 1, f"status of the halted endpoint {address:02x}")


@check(
    "USB-EP-002", "20 bytes from and to each halted endpoint, twice", "STALL both times",
    "USB 3.2 9.4.5; pylon probes so; usbtest case 13", trace="r",
)  # fmt: skip
def halted_stalls(c: Context) -> None:
    for address in addresses(c):
        c.set_halt(address)
        ended = [use(c, address) for _ in range(2)]
        c.clear_halt(address)
        c.same(ended, ["STALL", "STALL"], f"how two requests to the halted endpoint {address:02x} ended")


@check(
    "USB-EP-003", "CLEAR_FEATURE(HALT), then each endpoint used", "status 0; a read, an event, frames come",
    "USB 3.2 9.4.1; CV TD9.9; usbtest case 13", trace="r",
)  # fmt: skip
def clear(c: Context) -> None:
    for address in addresses(c):
        c.set_halt(address)
        c.clear_halt(address)
        c.same(c.status_of(address), 0, f"status of endpoint {address:02x}")
        works(c, address)


@check(
    "USB-EP-004", "one endpoint halted", "the others' status is 0, and they work",
    "USB 3.2 9.4.5; the device's consistency with itself", trace="r",
)  # fmt: skip
def others_unhurt(c: Context) -> None:
    for address in addresses(c):
        c.set_halt(address)
        try:
            for other in addresses(c):
                c.same(
                    c.status_of(other),
                    int(other == address),
                    f"status of {other:02x} with {address:02x} halted",
                )
            if address not in (c.control_out, c.control_in):
                c.alive()
                if "gapi" in c.route.abilities:  # streaming goes through the features
                    for other in set(addresses(c)) - {address, c.control_out, c.control_in}:
                        works(c, other)
        finally:
            c.clear_halt(address)


@check(
    "USB-EP-005", "halt control IN, OUT; clear IN, OUT (cameleon opens so)", "all succeed; a read answers",
    "cameleon", trace="r",
)  # fmt: skip
def opened_by_halts(c: Context) -> None:
    for endpoint in (c.control_in, c.control_out):
        c.set_halt(endpoint)
    for endpoint in (c.control_in, c.control_out):
        c.clear_halt(endpoint)
    c.alive()


@check(
    "USB-EP-006", "halt and clear 20 times on each endpoint", "then each works", "Aravis and NI at each start",
    trace="r",
)  # fmt: skip
def halt_often(c: Context) -> None:
    for address in addresses(c):
        for _ in range(20):
            c.set_halt(address)
            c.clear_halt(address)
    for address in addresses(c):
        works(c, address)


@check(
    "USB-EP-007", "a read whose acknowledge is not fetched; halt and clear of control IN; another read",
    "only the second one's acknowledge comes", "USB 3.2 9.4.5; Infineon's example flushes", trace="r",
)  # fmt: skip
def flushed(c: Context) -> None:
    c.send(readmem(c.next_id(), 0, 4))
    c.set_halt(c.control_in)
    c.clear_halt(c.control_in)
    wanted = c.next_id()
    c.send(readmem(wanted, 4, 4))
    came = c.drain()
    c.same([ack.request_id for ack in came], [wanted], "ids of the acknowledges that came")


@check(
    "USB-EP-008", "CLEAR_FEATURE(HALT) 10 times on endpoints that are not halted", "succeeds, and nothing is lost",
    "USB 3.2 9.4.1; Aravis and pylon at start", trace="r",
)  # fmt: skip
def clear_what_is_clear(c: Context) -> None:
    for address in addresses(c):
        for _ in range(10):
            c.clear_halt(address)
    c.alive()
    c.same(c.rd(4, 8), c.rd(4, 8), "two reads")


@check(
    "USB-EP-009", "control: clear halt, an odd number of packets, clear halt, again; 10 rounds",
    "every transfer arrives once and whole (sequence numbers restart)", "usbtest case 29; USB 2.0 5.8.5", trace="r",
)  # fmt: skip
def toggles(c: Context) -> None:
    first = c.rd(4, 8)
    for i in range(10):
        for endpoint in (c.control_out, c.control_in):
            c.clear_halt(endpoint)
        for _ in range(i % 2 * 2 + 1):
            c.same(c.rd(4, 8), first, f"a read in round {i + 1}")


@check(
    "USB-EP-010", "stream: clear halt between two acquisitions", "the first transfer is a leader",
    "usbtest case 29; USB 2.0 5.8.5", needs="str", trace="r",
)  # fmt: skip
def toggles_of_stream(c: Context) -> None:
    for _ in range(2):
        c.clear_halt(c.stream_in)
        with streaming(camera_of(c), depth=1) as stream:
            shot = stream.shots(1)[0]
            c.same(shot.leader[:4], LEADER, "beginning of the first transfer")


@check(
    "USB-EP-011", "halt, then SET_INTERFACE; halt, then SET_CONFIGURATION", "the status is 0 after each",
    "USB 3.2 9.4.7, 9.4.10", SHOULD, trace="r",
)  # fmt: skip
def reset_by_interface(c: Context) -> None:
    for interface in c.layout.interfaces:
        for endpoint in interface.endpoints if interface.is_u3v else ():
            c.set_halt(endpoint.address)
            if c.request(0x01, 11, 0, interface.number).stalled:
                c.note(f"interface {interface.number} stalls SET_INTERFACE")
                c.clear_halt(endpoint.address)
            c.same(c.status_of(endpoint.address), 0, f"status of {endpoint.address:02x} after SET_INTERFACE")
    for address in addresses(c):
        c.set_halt(address)
    c.got(c.configure(c.layout.value))
    for address in addresses(c):
        c.same(c.status_of(address), 0, f"status of {address:02x} after SET_CONFIGURATION")


@check(
    "USB-EP-012", "SET_FEATURE(HALT) of endpoint 0", "succeeds or STALL; endpoint 0 works on", "usbtest case 10",
    needs="raw0", trace="r",
)  # fmt: skip
def halt_0(c: Context) -> None:
    reply = c.request(0x02, 3, 0, 0)
    c.expect(reply.ok or reply.stalled, str(reply))
    c.same(c.got(c.descriptor(1, 0, 18)), c.device, "device descriptor")
    c.request(0x02, 1, 0, 0)


@check("USB-EP-013", "halt and clear of endpoint 8F", "STALL", "USB 3.2 9.4.9", needs="raw0")
def halt_nothing(c: Context) -> None:
    for request in (3, 1):
        c.stalls(c.request(0x02, request, 0, 0x8F))


@check(
    "USB-EP-014", "clear halt of the stream endpoint in the middle of a frame",
    "next comes a leader, or nothing; never the rest of the frame", "USB 3.2 9.4.1; USB3 Vision 1.0, stream",
    needs="str", trace="r",
)  # fmt: skip
def clear_in_a_frame(c: Context) -> None:
    camera = camera_of(c)
    with camera.settings(TriggerMode="Off"), streaming(camera, depth=1, begin=False) as stream:
        stream.start_acquisition()
        first = c.bulk_in(c.stream_in, stream.plan.leader, 3000)
        c.same(c.got(first)[:4], LEADER, "beginning of the first transfer")
        size = next(stream.plan.transfers())
        c.bulk_in(c.stream_in, size, 1000)
        c.clear_halt(c.stream_in)
        after = c.bulk_in(c.stream_in, max(size, stream.plan.leader), 1000)
        ended = after.error == NO_ANSWER
        c.note("nothing more comes" if ended else "a leader comes")
        c.expect(ended or after.data[:4] == LEADER, f"{after}, beginning {after.data[:8].hex(' ')}")


def enable_while_halted(c: Context, address: int, register: int, status: int) -> None:
    c.set_halt(address)
    try:
        ack = c.write(register, b"\x01\0\0\0")
        c.refused(ack, status)
        c.same(c.number(register) & 1, 0, "bit 0 of the register")
    finally:
        c.clear_halt(address)
        c.wr_number(register, 0)


@check(
    "USB-EP-015", "SI_Control 1 while the stream endpoint is halted", "status A002, and SI_Control stays 0",
    "USB3 Vision status codes (DSI endpoint halted)", SHOULD, needs="str", trace="r",
)  # fmt: skip
def stream_needs_endpoint(c: Context) -> None:
    enable_while_halted(c, c.stream_in, c.sirm + SI_CONTROL, 0xA002)


@check(
    "USB-EP-016", "EI_Control 1 while the event endpoint is halted", "status A005, and EI_Control stays 0",
    "USB3 Vision status codes (event endpoint halted)", SHOULD, needs="evt", trace="r",
)  # fmt: skip
def events_need_endpoint(c: Context) -> None:
    enable_while_halted(c, c.event_in, c.eirm + EI_CONTROL, 0xA005)


@check(
    "USB-EP-017", "an IN request posted and cancelled 100 times on each IN endpoint",
    "each is back within 100 ms; the endpoint works afterwards", "usbtest cases 11 and 24", needs="overlap",
)  # fmt: skip
def cancelled(c: Context) -> None:
    for address in addresses(c):
        if not address & 0x80:
            continue
        late = 0
        for _ in range(c.count(20, 100)):
            began_ns = c.now_ns()
            c.bus.cancel_in(c.bus.submit_in(address, bytearray(c.packet_bytes)))
            took_ms = (c.now_ns() - began_ns) / 1e6
            late += took_ms > 100
            c.expect(
                late < (1 if c.route.is_simulated else 3),  # a host of several tasks is late now and then
                f"endpoint {address:02x}: cancelling took {took_ms:.0f} ms",
            )
    for address in addresses(c):
        works(c, address)


@check(
    "USB-EP-018", "STALLs of bulk endpoints that nobody asked for, over the whole run", "none",
    "USB3 Vision: Aravis never recovers from one", phase=Phase.JOURNAL,
)  # fmt: skip
def no_unasked_stalls(c: Context) -> None:
    c.none_of([f"{where}: endpoint {at:02x}" for where, at in c.journal.stalls], "unasked STALLs")
