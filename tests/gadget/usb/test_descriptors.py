"""The device's reader of its own configuration: what is there, and what no damaged one may do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gadget.usb.descriptors import Interface, interfaces, walk
from tests.gadget.toy import IDENTITY
from u3v.wire.usb import Speed, build_descriptors


@pytest.mark.parametrize("speed", list(Speed))
def test_s13_the_three_interfaces_of_a_camera(speed: Speed) -> None:
    assert interfaces(build_descriptors(IDENTITY, speed).configuration) == [
        Interface(0, 0, (0xEF, 5, 0), (0x01, 0x81)),
        Interface(1, 0, (0xEF, 5, 1), (0x82,)),
        Interface(2, 0, (0xEF, 5, 2), (0x83,)),
    ]


def test_a_camera_without_events_has_two() -> None:
    found = interfaces(build_descriptors(IDENTITY, Speed.SUPER, events=False).configuration)
    assert [(i.number, i.endpoints) for i in found] == [(0, (0x01, 0x81)), (1, (0x83,))]


@given(st.binary(max_size=64))
def test_any_bytes_are_walked_to_their_end(raw: bytes) -> None:
    assert b"".join(walk(raw)) + raw[len(b"".join(walk(raw))) :] == raw
    assert all(len(each) >= 2 for each in walk(raw))
