"""USB-CH9: standard requests of the device and its interfaces (USB 3.2 clause 9.4)."""

from u3v.host.conformance.camera import camera_of
from u3v.host.conformance.context import EI_CONTROL, SI_CONTROL, Context
from u3v.host.conformance.declare import INFO, SHOULD, check
from u3v.host.conformance.endpoint0 import DEVICE, Reply
from u3v.host.conformance.packets import readmem
from u3v.host.conformance.streaming import streaming
from u3v.host.conformance.usb_bos import SUPER_SPEED, needed

SET_STATUS = {0x30: 2, 0x31: 3, 0x32: 4, 1: 1}
"""Bit of the device's status that a feature sets: U1, U2, LTM, remote wake-up (USB 3.2 9.4.5)."""
U1, U2, LTM, REMOTE_WAKEUP = 0x30, 0x31, 0x32, 1


def configuration_now(c: Context) -> int:
    return c.got(c.request(0x80, 8, 0, 0, 1), 1)[0]


def device_status(c: Context) -> int:
    return int.from_bytes(c.got(c.request(0x80, 0, 0, 0, 2), 2), "little")


def feature(c: Context, selector: int, on: bool, index: int = 0) -> Reply:
    """SET_FEATURE or CLEAR_FEATURE of the device."""
    return c.request(0x00, 3 if on else 1, selector, index)


def follows(c: Context, selector: int) -> None:
    """A feature of the device can be set and cleared, and its status bit follows. Raises Failed."""
    bit = 1 << SET_STATUS[selector]
    for on in (True, False):
        c.got(feature(c, selector, on))
        status = device_status(c)
        c.expect(
            bool(status & bit) is on,
            f"status {status:#06x} after {'set' if on else 'clear'} of {selector:#x}",
        )


@check("USB-CH9-001", "GET_CONFIGURATION", "1 byte: the configuration that was set last", "USB 3.2 9.4.2")
def configuration(c: Context) -> None:
    c.same(configuration_now(c), c.layout.value, "configuration")
    with c.unconfigured():
        c.same(configuration_now(c), 0, "configuration of the unconfigured device")


@check(
    "USB-CH9-002", "SET_CONFIGURATION of the active configuration",
    "succeeds; halts are cleared; the device works on", "USB 3.2 9.4.7; CV TD9.13", trace="r",
)  # fmt: skip
def configure_again(c: Context) -> None:
    for endpoint in c.layout.bulk:
        c.set_halt(endpoint.address)
    c.got(c.configure(c.layout.value))
    for endpoint in c.layout.bulk:
        c.same(c.status_of(endpoint.address), 0, f"status of endpoint {endpoint.address:02x}")
    c.alive()


@check(
    "USB-CH9-003", "SET_CONFIGURATION v, v, 0, v", "each succeeds, and GET_CONFIGURATION tells it",
    "CV TD9.13 (tinyusb#1050)", trace="r",
)  # fmt: skip
def configure_in_turn(c: Context) -> None:
    for value in (c.layout.value, c.layout.value, 0, c.layout.value):
        c.got(c.configure(value))
        c.same(configuration_now(c), value, f"configuration after SET_CONFIGURATION {value}")


@check(
    "USB-CH9-004", "SET_CONFIGURATION of values that no configuration has", "STALL; the configuration stays; alive",
    "USB 3.2 9.4.7",
)  # fmt: skip
def configure_nonsense(c: Context) -> None:
    for value in (c.layout.value + 1, 0x7F, 0xFF):
        reply = c.configure(value)
        if reply.ok:
            c.configure(c.layout.value)
        c.stalls(reply)
        c.same(configuration_now(c), c.layout.value, "configuration afterwards")
    c.alive()


@check(
    "USB-CH9-005", "SET_CONFIGURATION with an upper byte", "STALL, or as without it (the byte is reserved)",
    "USB 3.2 9.4.7", INFO, needs="raw0", trace="r",
)  # fmt: skip
def upper_byte(c: Context) -> None:
    reply = c.request(0x00, 9, 0x0100 | c.layout.value)
    c.note(str(reply))
    c.expect(reply.ok or reply.stalled, str(reply))
    c.same(configuration_now(c), c.layout.value, "configuration afterwards")


@check(
    "USB-CH9-006", "requests of the unconfigured device",
    "descriptors and the device's status answer; GET_INTERFACE, status of interface and endpoint STALL",
    "USB 3.2 9.4.4, 9.4.5", needs="raw0", trace="r",
)  # fmt: skip
def unconfigured(c: Context) -> None:
    endpoint = c.layout.bulk[0].address
    with c.unconfigured():
        c.same(c.got(c.descriptor(DEVICE, 0, 18)), c.device, "device descriptor")
        c.same(c.read_configuration(), c.layout.raw, "configuration descriptor")
        c.string(c.device[16])
        device_status(c)
        for reply in (
            c.request(0x81, 10, 0, 0, 1),
            c.request(0x81, 0, 0, 0, 2),
            c.request(0x82, 0, 0, endpoint, 2),
        ):
            c.stalls(reply)


@check(
    "USB-CH9-007", "a command sent to the unconfigured device, then configured: a read",
    "the command is refused, and the first acknowledge is the read's", "USB 3.2 9.1.1", needs="raw0", trace="r",
)  # fmt: skip
def no_life_before(c: Context) -> None:
    lost = c.next_id()
    with c.unconfigured():
        reply = c.bulk_out(c.control_out, readmem(lost, 4, 4), 200)
        if reply.ok:
            reply = c.bulk_in(c.control_in, c.max_ack_bytes, 200)
        c.expect(not reply.ok, f"an unconfigured device answers: {reply}")
    wanted = c.next_id()
    c.send(readmem(wanted, 0, 4))
    ack = c.receive()
    c.expect(ack is not None and ack.ok and ack.request_id == wanted, f"first acknowledge: {ack or 'none'}")


@check(
    "USB-CH9-008", "streaming, then configurations 0 and v",
    "SI_Control and EI_Control are 0, the endpoints silent until enabled again", "USB 3.2 9.4.7", needs="str",
    trace="r",
)  # fmt: skip
def stream_ends(c: Context) -> None:
    c.wr_number(c.sirm + SI_CONTROL, 1)
    if c.u3vcp & 2:
        c.wr_number(c.eirm + EI_CONTROL, 1)
    with c.unconfigured():
        pass
    c.same(c.number(c.sirm + SI_CONTROL) & 1, 0, "SI_Control")
    if c.u3vcp & 2:
        c.same(c.number(c.eirm + EI_CONTROL) & 1, 0, "EI_Control")
    reply = c.bulk_in(c.stream_in, c.packet_bytes, 300)
    c.expect(not reply.ok or not reply.data, f"the stream endpoint sends: {reply}")


@check("USB-CH9-009", "GET_INTERFACE of each interface", "1 byte, 0", "CV TD9.4; USB 3.2 9.4.4 (bladeRF#97)")
def alternate_settings(c: Context) -> None:
    for interface in c.layout.interfaces:
        c.same(
            c.got(c.request(0x81, 10, 0, interface.number, 1)),
            b"\0",
            f"setting of interface {interface.number}",
        )


@check(
    "USB-CH9-010", "SET_INTERFACE 0 of each interface",
    "succeeds (STALL is legal where there is one setting, and noted)", "USB 3.2 9.4.10", SHOULD, trace="r",
)  # fmt: skip
def set_interface(c: Context) -> None:
    for interface in c.layout.interfaces:
        reply = c.request(0x01, 11, 0, interface.number)
        if reply.stalled:
            c.note(f"interface {interface.number} stalls SET_INTERFACE")
        c.got(reply)


@check("USB-CH9-011", "SET_INTERFACE 1", "STALL; GET_INTERFACE is still 0", "USB 3.2 9.4.10", needs="raw0")
def no_setting_1(c: Context) -> None:
    for interface in c.layout.interfaces:
        c.stalls(c.request(0x01, 11, 1, interface.number))
        c.same(
            c.got(c.request(0x81, 10, 0, interface.number, 1)),
            b"\0",
            f"setting of interface {interface.number}",
        )


@check(
    "USB-CH9-012", "requests to an interface that is not there", "STALL each; alive", "USB 3.2 9.4.4", needs="raw0",
)  # fmt: skip
def foreign_interface(c: Context) -> None:
    number = c.layout.raw[4]
    for reply in (
        c.request(0x81, 10, 0, number, 1),
        c.request(0x01, 11, 0, number),
        c.request(0x81, 0, 0, number, 2),
    ):
        c.stalls(reply)
    c.alive()


@check(
    "USB-CH9-013", "GET_STATUS of the device",
    "2 bytes; bit 0 as bmAttributes bit 6 (both supplies declared: noted); bit 1 0 at SuperSpeed; bits 15 to 5 0",
    "USB 3.2 9.4.5; CV TD9.18",
)  # fmt: skip
def status_of_device(c: Context) -> None:
    status = device_status(c)
    declared, draws = bool(c.layout.raw[7] & 0x40), c.layout.raw[8]
    if declared and draws:
        c.note(f"declares both supplies; now {'its own' if status & 1 else 'the bus'}")
    else:
        c.expect(
            bool(status & 1) is declared, f"status {status:#06x} with bmAttributes {c.layout.raw[7]:#04x}"
        )
    c.expect(not status & (0xFFE2 if c.speed == "SS" else 0xFFE0), f"status {status:#06x}")


@check("USB-CH9-014", "GET_STATUS of each interface", "2 bytes, 0", "USB 3.2 9.4.5")
def status_of_interfaces(c: Context) -> None:
    first = {raw[2] for _, raw in c.layout.associations} or {0}
    for interface in c.layout.interfaces:
        status = int.from_bytes(c.got(c.request(0x81, 0, 0, interface.number, 2), 2), "little")
        wake = 3 if c.speed == "SS" and interface.number in first else 0
        c.expect(not status & ~wake, f"status {status:#06x} of interface {interface.number}")


@check(
    "USB-CH9-015", "GET_STATUS of each endpoint, and of 0 and 80", "0 when nothing is halted",
    "USB 3.2 9.4.5; usbtest case 13",
)  # fmt: skip
def status_of_endpoints(c: Context) -> None:
    for address in (0, 0x80, *(endpoint.address for endpoint in c.layout.endpoints)):
        c.same(c.status_of(address), 0, f"status of endpoint {address:02x}")
    for endpoint in c.layout.bulk:  # and its bit is in the first byte
        c.set_halt(endpoint.address)
        raw = c.got(c.request(0x82, 0, 0, endpoint.address, 2), 2)
        c.clear_halt(endpoint.address)
        c.same(raw, b"\x01\x00", f"status of the halted endpoint {endpoint.address:02x}")


@check("USB-CH9-016", "GET_STATUS of endpoint 8F", "STALL", "USB 3.2 9.4.5", needs="raw0")
def status_of_nothing(c: Context) -> None:
    c.stalls(c.request(0x82, 0, 0, 0x8F, 2))


@check("USB-CH9-017", "GET_STATUS with wLength 0, 1, 64", "as many bytes, 2 at most", "USB 3.2 9.4", SHOULD)
def status_lengths(c: Context) -> None:
    status = c.got(c.request(0x80, 0, 0, 0, 2), 2)
    for length in (0, 1, 64):
        c.same(c.got(c.request(0x80, 0, 0, 0, length)), status[:length], f"status in {length} bytes")


@check(
    "USB-CH9-018", "U1 and U2 enabled and disabled", "succeeds; bits 2 and 3 of the status follow",
    "USB 3.2 9.4.5, 9.4.9; CV TD9.22", SHOULD, needs="SS", trace="r",
)  # fmt: skip
def link_power(c: Context) -> None:
    for selector in (U1, U2):
        follows(c, selector)


@check("USB-CH9-019", "U1 and U2 at High-Speed", "STALL", "USB 3.2 9.4.9", needs="HS")
def no_link_power(c: Context) -> None:
    for selector in (U1, U2):
        c.stalls(feature(c, selector, True))


@check(
    "USB-CH9-020", "LTM enabled and disabled",
    "succeeds, and status bit 4 follows, if the capability has it; else STALL", "USB 3.2 9.4.9", SHOULD, needs="SS",
    trace="r",
)  # fmt: skip
def latency_tolerance(c: Context) -> None:
    if needed(c, SUPER_SPEED, 10)[3] & 2:
        return follows(c, LTM)
    reply = feature(c, LTM, True)
    if reply.ok:
        feature(c, LTM, False)
    c.stalls(reply)


@check(
    "USB-CH9-021", "remote wake-up enabled",
    "High-Speed: succeeds, and status bit 1 follows, if bmAttributes bit 5 is set, else STALL. SuperSpeed: STALL",
    "CV TD9.12; USB 3.2 9.4.9", SHOULD, trace="r",
)  # fmt: skip
def remote_wakeup(c: Context) -> None:
    if c.speed == "HS" and c.layout.raw[7] & 0x20:
        return follows(c, REMOTE_WAKEUP)
    reply = feature(c, REMOTE_WAKEUP, True)
    if reply.ok:
        feature(c, REMOTE_WAKEUP, False)
    c.stalls(reply)


@check(
    "USB-CH9-022", "an unknown feature (66) set and cleared", "STALL both; the device descriptor between",
    "CV TD9.11",
)  # fmt: skip
def unknown_feature(c: Context) -> None:
    c.stalls(feature(c, 0x66, True))
    c.same(c.got(c.descriptor(DEVICE, 0, 18)), c.device, "device descriptor")
    c.stalls(feature(c, 0x66, False))


@check(
    "USB-CH9-023", "function suspend of the first interface, options 0, set and cleared",
    "SuperSpeed: both succeed. High-Speed: STALL", "USB 3.2 9.4.9", SHOULD, needs="raw0", trace="r",
)  # fmt: skip
def function_suspend(c: Context) -> None:
    first = c.layout.associations[0][1][2] if c.layout.associations else 0
    for request in (3, 1):
        reply = c.request(0x01, request, 0, first)
        c.got(reply) if c.speed == "SS" else c.stalls(reply)


@check("USB-CH9-024", "SET_FEATURE 1 of each endpoint", "STALL, and no endpoint halts", "USB 3.2 9.4.9")
def endpoint_selector(c: Context) -> None:
    for endpoint in c.layout.bulk:
        c.stalls(c.request(0x02, 3, 1, endpoint.address))
        c.same(c.status_of(endpoint.address), 0, f"status of endpoint {endpoint.address:02x}")


@check("USB-CH9-025", "SET_SEL", "SuperSpeed: succeeds. High-Speed: STALL", "USB 3.2 9.4.12; Linux sends it")
def set_sel(c: Context) -> None:
    reply = c.request(0x00, 0x30, 0, 0, bytes.fromhex("0a 0a ff 07 ff 07"))
    c.got(reply) if c.speed == "SS" else c.stalls(reply)


@check("USB-CH9-026", "SET_SEL with 5 and 7 bytes", "STALL; alive", "USB 3.2 9.4.12", SHOULD, needs="SS")
def set_sel_lengths(c: Context) -> None:
    for length in (5, 7):
        c.stalls(c.request(0x00, 0x30, 0, 0, bytes(length)))
    c.alive()


@check("USB-CH9-027", "SET_ISOCH_DELAY 40 ns", "SuperSpeed: succeeds. High-Speed: STALL", "USB 3.2 9.4.11")
def set_isoch_delay(c: Context) -> None:
    reply = c.request(0x00, 0x31, 40)
    c.got(reply) if c.speed == "SS" else c.stalls(reply)


@check(
    "USB-CH9-028", "descriptors of types that are not there (42, 22, 21)", "STALL; then the device descriptor",
    "CV TD9.10",
)  # fmt: skip
def unknown_descriptors(c: Context) -> None:
    for kind, length in ((0x42, 9), (0x22, 64), (0x21, 9)):
        c.stalls(c.descriptor(kind, 0, length))
        c.same(c.got(c.descriptor(DEVICE, 0, 18)), c.device, "device descriptor")


@check(
    "USB-CH9-029", "descriptors that are only served inside the configuration (04, 05, 0B, 24, 30)", "STALL",
    "USB 3.2 9.4.3; usbtest case 10",
)  # fmt: skip
def inner_descriptors(c: Context) -> None:
    for kind, length in ((0x04, 9), (0x05, 7), (0x0B, 8), (0x24, 20), (0x30, 6)):
        c.stalls(c.descriptor(kind, 0, length))


@check(
    "USB-CH9-030", "SET_DESCRIPTOR, SYNCH_FRAME and requests without a meaning", "STALL each; alive",
    "USB 3.2 9.4.8",
)  # fmt: skip
def undefined_requests(c: Context) -> None:
    for reply in (
        c.request(0x00, 7, 0x0100, 0, 18),
        c.request(0x82, 12, 0, c.layout.bulk[-1].address, 2),
        c.request(0x80, 0x42, 0, 0, 2),
        c.request(0x80, 0xFF, 0, 0, 2),
    ):
        c.stalls(reply)
    c.alive()


@check(
    "USB-CH9-031", "a class request to the control interface", "STALL: USB3 Vision has none", "USB3 Vision 1.0",
    SHOULD,
)  # fmt: skip
def class_request(c: Context) -> None:
    c.stalls(c.request(0xA1, 1, 0, 0, 8))


@check("USB-CH9-032", "a vendor request", "STALL or an answer, no hang", "USB 3.2 9.3", INFO, needs="sim")
def vendor_request(c: Context) -> None:
    reply = c.request(0xC0, 1, 0, 0, 8)
    c.expect(reply.ok or reply.stalled, str(reply))


@check(
    "USB-CH9-033", "the control requests of usbtest case 10 in their order, again and again",
    "each as listed there, in order: those for what is not there STALL, the others answer", "Linux usbtest case 10",
)  # fmt: skip
def control_queue(c: Context) -> None:
    endpoint, interface = c.layout.bulk[0].address, c.layout.interfaces[0].number
    total = len(c.layout.raw)
    for _ in range(c.count(10, 50)):
        c.same(c.got(c.descriptor(DEVICE, 0, 18)), c.device, "device descriptor")
        c.got(c.descriptor(2, 0, 9), 9)
        answers = [c.request(0x81, 10, 0, interface, 1)]
        c.got(c.request(0x81, 0, 0, interface, 2), 2)
        c.got(c.request(0x80, 0, 0, 0, 2), 2)
        answers.append(c.descriptor(6, 0, 10))
        c.got(c.descriptor(2, 0, total), total)
        c.stalls(c.descriptor(4, 0, 9))
        answers.append(c.request(0x02, 1, 0, 0x80) if "raw0" in c.route.abilities else c.descriptor(6, 0, 10))
        c.same(c.status_of(endpoint), 0, "status of an endpoint")
        c.got(c.descriptor(2, 0, total + 1), total)
        answers.append(c.descriptor(5, 0, 7))
        c.got(c.descriptor(3, 0, 80))
        c.got(c.descriptor(2, 0, 1024), total)
        c.same(
            c.got(c.descriptor(DEVICE, 0, 4096), 18), c.device, "device descriptor asked for with 4096 bytes"
        )
        for reply in answers:
            c.expect(reply.ok or reply.stalled, str(reply))


@check("USB-CH9-034", "GET_DESCRIPTOR sent as an OUT request", "STALL; alive", "USB 3.2 9.3.1", needs="raw0")
def wrong_direction(c: Context) -> None:
    c.stalls(c.request(0x00, 6, 0x0100, 0, 18))
    c.alive()


@check(
    "USB-CH9-035", "100 GET_DESCRIPTOR of each kind while the stream is on",
    "all right, none takes more than 500 ms", "USB 3.2 9.2.6.4", needs="str", trace="r",
)  # fmt: skip
def while_streaming(c: Context) -> None:
    with streaming(camera_of(c)) as stream:
        for i in range(c.count(30, 100)):
            for kind, wanted in ((1, c.device), (2, c.layout.raw)):
                began_ns = c.now_ns()
                c.same(
                    c.got(c.descriptor(kind, 0, len(wanted))), wanted, f"descriptor {kind}, reading {i + 1}"
                )
                took_ms = (c.now_ns() - began_ns) / 1e6
                c.expect(took_ms <= 500, f"descriptor {kind} took {took_ms:.0f} ms")
            if not i % 10:
                stream.shots(1)


@check(
    "USB-CH9-036", "20 requests in a row that stall, then a good one", "the good one succeeds",
    "Linux usbtest: two faults in the queue",
)  # fmt: skip
def after_stalls(c: Context) -> None:
    for _ in range(20):
        c.stalls(c.descriptor(0x42, 0, 9))
    c.same(c.got(c.descriptor(DEVICE, 0, 18)), c.device, "device descriptor")
