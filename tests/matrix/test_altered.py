"""Single bytes altered at places drawn from a seed: descriptors, acknowledges, registers, the GenICam file, frames.

In this process, on a simulated clock: each alteration is what a foreign proxy could make of USB/IP traffic, and
test_proxy.py has the proxy. Some bytes are nobody's to know; those are named, with the reason.
"""

import pytest

from gadget.runner import CameraSpec
from gadget.tools.conformance.routes import in_process
from tests.matrix.altered import (
    BOS,
    CONFIGURATION,
    DEVICE,
    EVENT_IN,
    STREAM_IN,
    STRING,
    Ack,
    Alteration,
    AlteredBus,
    Descriptor,
    Packet,
    Register,
    seeded,
)
from u3v.host.conformance.context import Context, Level
from u3v.host.conformance.declare import INFO, Trace
from u3v.host.conformance.families import all_checks
from u3v.host.conformance.run import Run, select

SEED = 20261121
ABRM, SBRM, SIRM, EIRM, MANIFEST, XML = 0, 0x10000, 0x20000, 0x30000, 0x34000, 0x100000
DEVIATIONS = ("SI-016", "SI-017", "SI-018", "SI-019", "EVT-010")
USB, BOOT = ("USB-*", "U3V-*"), ("BOOT-*", "U3V-*")

REGISTER = -1
NOBODY_KNOWS = {
    (CONFIGURATION, 6): "iConfiguration: another string that is there",
    (CONFIGURATION, 8): "bMaxPower: another legal current",
    **{(CONFIGURATION, at): "iInterface: another string that is there" for at in (0x19, 0x50, 0x66)},
    (CONFIGURATION, 0x70): "the stream's bMaxBurst: another legal one",
    (BOS, 9): "recommended latencies of LPM (BESL): others are legal",
    (BOS, 19): "the U1 exit latency: another legal one",
    (BOS, 20): "the U2 exit latency: another legal one",
    (STREAM_IN, 20): "the lowest byte of a timestamp: less than a microsecond",
    (EVENT_IN, 11): "the upper byte of an event's id: it counts on from anywhere",
    (EVENT_IN, 16): "the lowest byte of a timestamp: less than a microsecond",
    **{
        (REGISTER, SIRM + at): "required sizes of leader and trailer: cameras may ask for more than they send"
        for at in (0x10, 0x11, 0x14, 0x15)
    },
    **{(REGISTER, EIRM + at): "the longest event: another legal one" for at in (4, 5)},
    **{
        (REGISTER, SBRM + at): "U3VCP_Configuration, whose bits have no meaning yet: a remark"
        for at in range(12, 20)
    },
}
"""(descriptor, endpoint or REGISTER; byte) -> why no check can see it."""


def drawn(what: int, places: range, count: int) -> list[tuple[int, int]]:
    """(byte, change) of those that somebody knows."""
    return [each for each in seeded(SEED + what, places, count) if (what, each[0]) not in NOBODY_KNOWS]


def places() -> list[tuple[Alteration, tuple[str, ...]]]:
    """Alterations, each with the patterns of the checks that have to see it."""
    found: list[tuple[Alteration, tuple[str, ...]]] = []
    for kind, size, count in ((DEVICE, 18, 6), (CONFIGURATION, 116, 10), (BOS, 22, 4)):
        found += [(Descriptor(kind, 0, at, change), USB) for at, change in drawn(kind, range(size), count)]
    found += [(Descriptor(STRING, 2, at, 1 << at % 5), ("USB-STR-*", "U3V-DESC-0*")) for at in (0, 1, 2, 5)]
    found += [(Ack(at, change), ("GENCP-HDR-00*",)) for at, change in seeded(SEED, range(12), 3)]
    for begin, size, count in (
        (ABRM, 0x1C4, 3),
        (0x1C4, 28, 3),
        (SBRM, 0x44, 5),
        (SIRM, 0x18, 2),
        (EIRM, 12, 3),
        (MANIFEST, 72, 3),
    ):
        for at, change in drawn(REGISTER, range(begin, begin + size), count):
            found.append((Register(at, change), (*BOOT, "STREAM-00*")))
    found += [
        (Register(at, change), ("BOOT-MAN-*",)) for at, change in seeded(SEED, range(XML, XML + 9000), 2)
    ]
    for endpoint, magic, size, checks in (
        (STREAM_IN, b"U3VL", 52, "STREAM-00*"),
        (STREAM_IN, b"U3VT", 32, "STREAM-01*"),
        (EVENT_IN, b"U3VE", 24, "EVT-00*"),
    ):
        for at, change in drawn(endpoint, range(size), 3):
            found.append((Packet(endpoint, magic, at, change), (checks, "STREAM-003")))
    return found


PLACES = places()


@pytest.mark.parametrize(("alteration", "patterns"), PLACES, ids=[str(each) for each, _ in PLACES])
def test_an_altered_byte_is_seen(alteration: Alteration, patterns: tuple[str, ...]) -> None:
    """By a check of these that is more than a remark: the first one ends the run."""
    chosen = [
        check
        for check in select(all_checks(), Level.DEFAULT, patterns)
        if check.body and check.trace is not Trace.LASTING and check.severity is not INFO
    ]
    with in_process(CameraSpec("acA4096-40um")) as route:
        route.bus = AlteredBus(route.bus, alteration)
        run = Run(Context(route), chosen)
        seen = next((o for o in run.outcomes() if o.result == "fail" and o.check.id not in DEVIATIONS), None)
    assert seen is not None


@pytest.mark.parametrize("magic", [b"U3VL", b"U3VT"])
def test_a_bus_that_alters_nothing_is_not_seen(magic: bytes) -> None:
    chosen = select(all_checks(), Level.DEFAULT, ["USB-DESC-*", "GENCP-HDR-00*", "STREAM-00*", "EVT-00*"])
    with in_process(CameraSpec("acA4096-40um")) as route:
        route.bus = AlteredBus(route.bus, Packet(STREAM_IN, magic, 0, 0))
        failed = [o.check.id for o in Run(Context(route), chosen).outcomes() if o.result in ("fail", "error")]
    assert failed == []
