"""Blobs for FunctionFS, taken apart by the layout of linux/usb/functionfs.h, and its events."""

import struct

import pytest

from gadget.functionfs.descriptors import Event, endpoint_order, events, function_blob, strings_blob
from gadget.usb.descriptors import walk
from tests.gadget.toy import IDENTITY
from u3v.wire.usb import Speed, build_descriptors

HIGH, SUPER = (build_descriptors(IDENTITY, speed) for speed in (Speed.HIGH, Speed.SUPER))


def taken_apart(blob: bytes) -> list[list[bytes]]:
    """The descriptors of Full-Speed, High-Speed and SuperSpeed."""
    magic, length, flags, *counts = struct.unpack_from("<6I", blob)
    assert (magic, length, flags) == (3, len(blob), 7)
    every = list(walk(blob[24:]))
    assert len(every) == sum(counts)
    return [every[sum(counts[:k]) : sum(counts[: k + 1])] for k in range(3)]


def test_the_function_at_each_speed() -> None:
    full, high, super_ = taken_apart(function_blob(HIGH, SUPER))
    assert [raw[1] for raw in high] == [0x0B, 4, 0x24, 5, 5, 4, 5, 4, 5]
    assert [raw[1] for raw in super_] == [0x0B, 4, 0x24, 5, 0x30, 5, 0x30, 4, 5, 0x30, 4, 5, 0x30]
    packets = [
        {struct.unpack_from("<H", raw, 4)[0] for raw in body if raw[1] == 5} for body in (full, high, super_)
    ]
    assert packets == [{64}, {512}, {1024}]
    assert b"".join(high[1:]) in HIGH.configuration


def test_strings_are_where_the_device_information_says() -> None:
    """The kernel's composite layer has given 1, 2, 3 to the gadget's strings; FunctionFS' follow, counted from 1."""
    association, _, info, *_ = taken_apart(function_blob(HIGH, SUPER))[2]
    blob = strings_blob(SUPER.strings)
    magic, length, count, languages, language = struct.unpack_from("<4IH", blob)
    assert (magic, length, languages, language) == (2, len(blob), 1, 0x409)
    texts = [text.decode() for text in blob[18:].split(b"\0")[:-1]]
    assert len(texts) == count
    by_index = dict(enumerate(["Toy", "Toy One", "SER1", *texts], 1))
    assert by_index[info[11]] == IDENTITY.guid
    assert [by_index[info[at]] for at in (12, 13, 17)] == ["Toy", "Toy One", "SER1"]
    assert association[7] == count and texts[-1] == "USB3 Vision Device"


def test_a_kernel_that_refuses_it_gets_no_0x24() -> None:
    assert not any(
        raw[1] == 0x24 for body in taken_apart(function_blob(HIGH, SUPER, device_info=False)) for raw in body
    )


def test_pads_come_first() -> None:
    """What dummy_hcd needs so that the control channel has one number in both directions."""
    for body in taken_apart(function_blob(HIGH, SUPER, pads=3)):
        interfaces = [(raw[2], raw[4], raw[5]) for raw in body if raw[1] == 4]
        assert interfaces == [(0, 3, 0xFF), (1, 2, 0xEF), (2, 1, 0xEF), (3, 1, 0xEF)]
        assert [raw[2] for raw in body if raw[1] == 5] == [1, 2, 3, 4, 0x84, 0x85, 0x86]
        (association,) = [raw for raw in body if raw[1] == 0x0B]
        assert association[2] == 1


def test_order_of_the_files() -> None:
    assert endpoint_order(SUPER.configuration) == [0x01, 0x81, 0x82, 0x83]


@pytest.mark.parametrize("rest", [b"", b"\0" * 5])
def test_events(rest: bytes) -> None:
    setup = bytes.fromhex("c1 42 0100 0200 0800")
    raw = b"".join(
        data + bytes((kind, 0, 0, 0))
        for data, kind in ((bytes(8), 0), (bytes(8), 2), (setup, 4), (bytes(8), 99))
    )
    told = events(raw + rest)
    assert [each.kind for each in told] == [Event.BIND, Event.ENABLE, Event.SETUP]
    assert told[2].setup == setup
