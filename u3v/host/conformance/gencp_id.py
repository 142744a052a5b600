"""GENCP-ID, GENCP-PND, GENCP-STK: request ids, slow commands, stacked commands (GenCP 1.3 clauses 3.1, 4.4)."""

import struct
from collections.abc import Callable

from u3v.host.conformance import packets
from u3v.host.conformance.camera import camera_of
from u3v.host.conformance.context import SI_MAX_LEADER, SI_TRANSFER_COUNT, Context
from u3v.host.conformance.declare import INFO, SHOULD, Phase, check
from u3v.host.conformance.journal import Exchange
from u3v.host.conformance.packets import Ack, command, describe_command, readmem
from u3v.host.conformance.streaming import streaming

NOT_IMPLEMENTED, INVALID_PARAMETER, INVALID_ADDRESS, BUSY = 0x8001, 0x8002, 0x8003, 0x8007
STACKED = 1 << 13
SLACK_MS = 20
READ_BYTES = 24
"""A READMEM: header, address, reserved word, count."""
NOWHERE = 0xE0000000


@check(
    "GENCP-ID-001", "READMEM with id 0, twice", "success, fresh data both times",
    "GenCP 1.3 3.1.1; NI and cameleon begin so",
)  # fmt: skip
def id_zero(c: Context) -> None:
    c.same(c.read(0, 4, request_id=0).scd, c.rd(0, 4), "register 0")
    c.same(c.read(4, 8, request_id=0).scd, c.rd(4, 8), "register 4 by the same id")


@check("GENCP-ID-002", "READMEM with ids 1, 7FFF, 8000, FFFE, FFFF", "the id comes back", "GenCP 1.3 3.1.1")
def all_ids(c: Context) -> None:
    for request_id in (1, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF):
        ack = c.read(0, 4, request_id=request_id)
        c.expect(ack.ok and ack.request_id == request_id, f"id {request_id:#x}: {ack}")


@check(
    "GENCP-ID-003", "READMEM of 0 and of 4 with the same id", "both are answered with their own data",
    "GenCP 1.3 3.1.1; cameleon uses an id again after an error", SHOULD,
)  # fmt: skip
def id_again(c: Context) -> None:
    zero, four = c.rd(0, 4), c.rd(4, 4)
    c.same(c.read(0, 4, request_id=5).scd, zero, "data at 0")
    c.same(c.read(4, 4, request_id=5).scd, four, "data at 4")


@check(
    "GENCP-ID-004", "the same write with the same id twice", "success both times", "GenCP 1.3 3.1.1", needs="str",
    trace="r",
)  # fmt: skip
def write_again(c: Context) -> None:
    address = c.sirm + SI_TRANSFER_COUNT
    with c.restoring(address, 4):
        for _ in range(2):
            ack = c.write(address, b"\x01\0\0\0", request_id=7)
            c.expect(ack.ok, str(ack))
            c.same(c.number(address), 1, "SI_Payload_Transfer_Count")


@check(
    "GENCP-ID-005", "reads with falling, jumping and wrapping ids", "each id and its data right", "GenCP 1.3 3.1.1",
)  # fmt: skip
def any_order(c: Context) -> None:
    whole = c.rd(4, 64)
    wanted = [0xFFFE, 1, 2, 0xFFFF, 0, 1, *range(500, 400, -1)]
    wanted += [(i * 40503) & 0xFFFF or 1 for i in range(1, c.count(150, 900))]
    for i, request_id in enumerate(wanted):
        ack = c.read(4 + i % 32, 8, request_id=request_id)
        c.expect(ack.ok and ack.request_id == request_id, f"id {request_id:#x}: {ack}")
        c.same(ack.scd, whole[i % 32 : i % 32 + 8], f"data of id {request_id:#x}")


def late(c: Context, came: list[Ack], data: dict[int, bytes]) -> None:
    """Acknowledges that came: the last command's, before it at most the other one; each with its own data."""
    ids = [ack.request_id for ack in came]
    wanted = list(data)
    c.expect(ids in (wanted, wanted[1:]), f"acknowledges of ids {ids}, where {wanted} or {wanted[1:]} is due")
    for ack in came:
        c.same(ack.scd, data[ack.request_id], f"data of id {ack.request_id}")


@check(
    "GENCP-ID-006", "a read whose acknowledge is not fetched for 0.5 s (level long: 2 s), another read",
    "both acknowledges in order, or the second's", "GenCP 1.3 3.1.1; NI drops the id before",
)  # fmt: skip
def unread(c: Context) -> None:
    data = {10: c.rd(0, 4), 11: c.rd(4, 8)}
    c.send(readmem(10, 0, 4))
    c.wait_ms(c.pause(500, 2000))
    c.send(readmem(11, 4, 8))
    late(c, c.drain(), data)


@check(
    "GENCP-ID-007", "a read whose IN request is cancelled, another read",
    "both acknowledges in order, or the second's", "GenCP 1.3 3.1.1", needs="overlap",
)  # fmt: skip
def cancelled(c: Context) -> None:
    data = {20: c.rd(0, 4), 21: c.rd(4, 8)}
    handle = c.bus.submit_in(c.control_in, bytearray(c.max_ack_bytes))
    c.bus.cancel_in(handle)
    c.send(readmem(20, 0, 4))
    c.send(readmem(21, 4, 8))
    late(c, c.drain(), data)


@check(
    "GENCP-ID-008", "a slow command and, 1 ms later, another one",
    "the other gets BUSY (8007), or both are answered in order", "GenCP 1.3 3.1.2", SHOULD, needs="pend", trace="r",
)  # fmt: skip
def second_command(c: Context) -> None:
    slow, other = c.next_id(), c.next_id()
    c.send(c.slow_command(slow, min(c.response_ms, 400)))
    c.wait_ms(1)
    c.send(readmem(other, 0, 4))
    came = [ack for ack in c.drain() if ack.command != packets.PENDING_ACK]
    ids = [ack.request_id for ack in came]
    c.expect(
        sorted(ids) == sorted((slow, other)), f"acknowledges of {ids}, commands {slow} (slow) and {other}"
    )
    second = next(ack for ack in came if ack.request_id == other)
    c.expect(second.status == BUSY or ids == [slow, other], f"the second command: {second}, order {ids}")


def judged(c: Context) -> list[Exchange]:
    """The run's exchanges; there is at least one."""
    c.read(0, 4)
    return c.journal.exchanges


@check(
    "GENCP-ID-009", "acknowledges of the run with an id that nobody asked for", "none", "GenCP 1.3 3.1.1",
    phase=Phase.JOURNAL,
)  # fmt: skip
def no_strays(c: Context) -> None:
    wrong = [f"{e.check}: {describe_command(e.packet)}: {ack}" for e in judged(c) for ack in e.strays]
    c.none_of(wrong, "acknowledges with a foreign id")


@check(
    "GENCP-ID-010", "commands of the run that were never answered", "none where an answer is due",
    "GenCP 1.3 3.1.1; Aravis tries 5 times, NI and cameleon fail", phase=Phase.JOURNAL,
)  # fmt: skip
def all_answered(c: Context) -> None:
    wrong = [f"{e.check}: {describe_command(e.packet)}" for e in judged(c) if e.due and e.answer is None]
    c.none_of(wrong, "commands without an answer")


def best(c: Context, measure: Callable[[], float], limit: float) -> float:
    """A measurement in ms, or the least of three where a host of several tasks makes it more than its limit."""
    found = measure()
    for _ in range(0 if c.route.is_simulated else 2):
        if found > limit:
            found = min(found, measure())
    return found


def made_slow(c: Context) -> Ack:
    """The acknowledge of a command that takes twice MDRT, with its PENDING_ACKs."""
    return c.answered(c.slow_command(c.next_id(), 2 * c.response_ms))


@check(
    "GENCP-PND-001", "a command that takes twice MDRT",
    "a PENDING_ACK before MDRT has passed; the acknowledge later", "GenCP 1.3 3.1.2", needs="pend", trace="r",
)  # fmt: skip
def pending(c: Context) -> None:
    def first() -> float:
        ack = made_slow(c)
        c.expect(ack.pending, f"no PENDING_ACK; {ack}")
        c.expect(ack.ok, str(ack))
        return (ack.pending[0].came_ns - ack.sent_ns) / 1e6

    first_ms = best(c, first, c.response_ms + SLACK_MS)
    c.expect(first_ms <= c.response_ms + SLACK_MS, f"the first PENDING_ACK came after {first_ms:.0f} ms")


@check(
    "GENCP-PND-002", "each PENDING_ACK",
    "16 bytes: status 0, 0805, length 4, reserved 0, a time-out, the command's id", "GenCP 1.3 4.4.5", needs="pend",
    trace="r",
)  # fmt: skip
def pending_form(c: Context) -> None:
    request_id = c.next_id()
    ack = c.answered(c.slow_command(request_id, 2 * c.response_ms))
    c.expect(ack.pending, "no PENDING_ACK")
    for each in ack.pending:
        head = packets.PREFIX + struct.pack("<HHHH", 0, packets.PENDING_ACK, 4, request_id) + bytes(2)
        c.same(each.raw[:14], head, "PENDING_ACK")
        c.expect(len(each.raw) == 16 and any(each.raw[14:]), f"PENDING_ACK {each.raw.hex(' ')}")


@check(
    "GENCP-PND-003", "what comes after each PENDING_ACK", "within the announced time (and 20 ms)",
    "GenCP 1.3 4.4.5", needs="pend", trace="r",
)  # fmt: skip
def pending_time(c: Context) -> None:
    def latest() -> float:
        ack = made_slow(c)
        c.expect(ack.pending, "no PENDING_ACK")
        pairs = zip(ack.pending, (*ack.pending[1:], ack), strict=True)
        return max((b.came_ns - a.came_ns) / 1e6 - int.from_bytes(a.raw[14:16], "little") for a, b in pairs)

    over_ms = best(c, latest, SLACK_MS)
    c.expect(
        over_ms <= SLACK_MS, f"an answer came {over_ms:.0f} ms after the time that a PENDING_ACK announced"
    )


@check(
    "GENCP-PND-004", "the number of PENDING_ACKs of a command", "2 at most", "cameleon gives up at the third",
    SHOULD, needs="pend", trace="r",
)  # fmt: skip
def few_pending(c: Context) -> None:
    ack = made_slow(c)
    c.expect(len(ack.pending) <= 2, f"{len(ack.pending)} PENDING_ACKs")


@check(
    "GENCP-PND-005", "PENDING_ACKs of the run for commands that were done within MDRT", "none", "Aravis logs each",
    SHOULD, phase=Phase.JOURNAL,
)  # fmt: skip
def no_needless_pending(c: Context) -> None:
    wrong = []
    for e in judged(c):
        if e.answer and e.answer.pending and e.answer.came_ns - e.sent_ns < c.response_ms * 1e6:
            wrong.append(f"{e.check}: {describe_command(e.packet)}")
    c.none_of(wrong, "needless PENDING_ACKs")


@check(
    "GENCP-PND-006", "PENDING_ACKs of the run on reads of 1 to 3 bytes", "none", "Aravis posts too small a buffer",
    SHOULD, phase=Phase.JOURNAL,
)  # fmt: skip
def no_pending_on_short_reads(c: Context) -> None:
    c.read(4, 1)
    wrong = []
    for e in judged(c):
        reads = len(e.packet) == READ_BYTES and e.packet[6:8] == packets.READMEM.to_bytes(2, "little")
        short = reads and int.from_bytes(e.packet[-2:], "little") in (1, 2, 3)
        if short and e.answer and e.answer.pending:
            wrong.append(f"{e.check}: {describe_command(e.packet)}")
    c.none_of(wrong, "PENDING_ACKs on short reads")


@check(
    "GENCP-PND-007", "the acknowledge of a command that was pending", "once, with success; the value is written",
    "GenCP 1.3 3.1.2", needs="pend", trace="r",
)  # fmt: skip
def final_ack(c: Context) -> None:
    ack = made_slow(c)
    c.expect(ack.ok and ack.command == packets.WRITEMEM + 1, str(ack))
    more = c.drain()
    c.expect(not more, f"another one comes: {more[0] if more else ''}")
    address, size = c.pending_register
    value = c.read(address, size)
    if value.ok:
        c.same(int.from_bytes(value.scd, "little"), 2 * c.response_ms, "the value written")


@check(
    "GENCP-PND-008", "frames during a pending command", "they go on", "consistency with itself", INFO,
    needs="pend str", trace="r",
)  # fmt: skip
def stream_goes_on(c: Context) -> None:
    with streaming(camera_of(c)) as stream:
        stream.shots(2)
        first_ns = c.now_ns()
        stream.shots(2)
        usual_ms = (c.now_ns() - first_ns) / 2e6
        slow_ms = int(max(min(c.response_ms, 500), 3 * usual_ms))
        c.send(c.slow_command(c.next_id(), slow_ms))
        began_ns = c.now_ns()
        stream.shots(1)
        took_ms = (c.now_ns() - began_ns) / 1e6
        c.drain(slow_ms + c.silence_ms)
    c.expect(took_ms < slow_ms, f"the next frame came after {took_ms:.0f} ms, as late as the answer")


def stacked(c: Context) -> None:
    if not c.capability & STACKED:
        c.skip("the camera has no stacked commands (capability bit 13 is clear)")


def read_stacked(c: Context, *places: tuple[int, int]) -> Ack:
    scd = b"".join(struct.pack("<QHH", address, 0, count) for address, count in places)
    return c.answered(command(packets.READMEM_STACKED, c.next_id(), scd))


def write_stacked(c: Context, *places: tuple[int, bytes]) -> Ack:
    scd = b"".join(struct.pack("<QHH", address, 0, len(data)) + data for address, data in places)
    return c.answered(command(packets.WRITEMEM_STACKED, c.next_id(), scd))


@check(
    "GENCP-STK-001", "stacked commands 0806 and 0808 without the capability",
    "error 8001, acknowledges 0807 and 0809", "GenCP 1.3 5.4.9",
)  # fmt: skip
def no_stacking(c: Context) -> None:
    if c.capability & STACKED:
        c.skip("the camera has stacked commands")
    for code, scd in (
        (0x0806, struct.pack("<QHH", 0, 0, 4)),
        (0x0808, struct.pack("<QHHI", c.sirm + SI_MAX_LEADER, 0, 4, 1024)),
    ):
        ack = c.answered(command(code, c.next_id(), scd))
        c.refused(ack, NOT_IMPLEMENTED)
        c.same(ack.command, code | 1, "acknowledge")


@check("GENCP-STK-002", "a stacked read of (0, 4) and (4, 64)", "68 bytes, joined", "GenCP 1.3 4.4.7")
def stacked_read(c: Context) -> None:
    stacked(c)
    c.same(read_stacked(c, (0, 4), (4, 64)).scd, c.rd(0, 4) + c.rd(4, 64), "data")


@check(
    "GENCP-STK-003", "a stacked read with nowhere in its middle", "an error status, and only the first data",
    "GenCP 1.3 4.4.7",
)  # fmt: skip
def stacked_read_stops(c: Context) -> None:
    stacked(c)
    ack = read_stacked(c, (0, 4), (NOWHERE, 4), (4, 4))
    c.expect(ack.status & 0x8000, str(ack))
    c.same(ack.scd, c.rd(0, 4), "data")


@check(
    "GENCP-STK-004", "a stacked write of two registers; then one with a read-only register first",
    "both written; an error, and nothing behind it written", "GenCP 1.3 4.4.9", trace="r",
)  # fmt: skip
def stacked_write(c: Context) -> None:
    stacked(c)
    one, two = c.sirm + SI_MAX_LEADER, c.sirm + SI_TRANSFER_COUNT
    with c.restoring(one, 4), c.restoring(two, 4):
        ack = write_stacked(c, (one, b"\0\x08\0\0"), (two, b"\x03\0\0\0"))
        c.expect(ack.ok, str(ack))
        c.same(ack.scd, struct.pack("<4H", 0, 4, 0, 4), "lengths written")
        c.same((c.number(one), c.number(two)), (2048, 3), "the registers")
        ack = write_stacked(c, (0, bytes(4)), (two, b"\x05\0\0\0"))
        c.expect(ack.status & 0x8000, str(ack))
        c.same(c.number(two), 3, "the register behind the error")


@check(
    "GENCP-STK-005", "a stacked read of more than MaxAck; one of 13 bytes of SCD", "error 8002 or 800E",
    "GenCP 1.3 4.4.6",
)  # fmt: skip
def stacked_too_long(c: Context) -> None:
    stacked(c)
    count = c.max_ack // 64 + 1
    c.refused(read_stacked(c, *[(4, 64)] * count), INVALID_PARAMETER, 0x800E)
    c.refused(c.exchange(command(packets.READMEM_STACKED, c.next_id(), bytes(13))), INVALID_PARAMETER, 0x800E)
