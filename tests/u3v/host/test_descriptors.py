import pytest

from tests.u3v.host.fake import CONFIGURATION
from u3v.errors import Malformed
from u3v.host.descriptors import Pipe, find_function


def split(configuration: bytes) -> list[bytes]:
    out, at = [], 0
    while at < len(configuration):
        out.append(configuration[at : at + configuration[at]])
        at += configuration[at]
    return out


def test_finds_all_channels_and_the_device_information() -> None:
    found = find_function(CONFIGURATION)
    assert found.configuration == 1
    assert (found.control_interface, found.event_interface, found.stream_interface) == (0, 1, 2)
    assert (found.control_out, found.control_in) == (Pipe(0x01, 1024), Pipe(0x81, 1024))
    assert (found.event_in, found.stream_in) == (Pipe(0x82, 1024), Pipe(0x83, 1024))
    info = found.info
    assert (info.gencp_version, info.u3v_version) == ((1, 1), (1, 2))
    assert (info.guid_index, info.vendor_index, info.model_index, info.family_index) == (4, 1, 2, 5)
    assert (info.device_version_index, info.manufacturer_info_index) == (6, 7)
    assert (info.serial_index, info.user_defined_name_index, info.speed_support) == (3, 0, 0x0C)


def test_stream_before_event_and_without_event() -> None:
    head, association, *rest = split(CONFIGURATION)
    control, event, stream = rest[:6], rest[6:9], rest[9:]
    swapped = find_function(b"".join([head, association, *control, *stream, *event]))
    assert (swapped.event_in, swapped.stream_in) == (Pipe(0x82, 1024), Pipe(0x83, 1024))
    without = find_function(b"".join([head, association, *control, *stream]))
    assert (without.event_interface, without.event_in) == (None, None)
    assert without.stream_in == Pipe(0x83, 1024)


def test_ignores_interfaces_of_other_functions() -> None:
    head, *rest = split(CONFIGURATION)
    # A foreign function in front, its interface 7 of the same class triple but outside of our association.
    foreign = bytes.fromhex("080b0701ef020000 0904070001ef050200 070585020002 00".replace(" ", ""))
    found = find_function(b"".join([head, foreign, *rest]))
    assert (found.stream_interface, found.stream_in) == (2, Pipe(0x83, 1024))


@pytest.mark.parametrize(
    ("drop", "message"),
    [
        (0x0B, "no interface association EF/05/00: not a USB3 Vision camera"),
        (0x24, "the control interface has no device information descriptor (0x24/0x01)"),
        (0x05, "the USB3 Vision function has no control interface with bulk IN and OUT"),
        (0x04, "the USB3 Vision function has no control interface with bulk IN and OUT"),
    ],
)
def test_says_what_is_missing(drop: int, message: str) -> None:
    with pytest.raises(Malformed) as error:
        find_function(b"".join(d for d in split(CONFIGURATION) if d[1] != drop))
    assert str(error.value) == message


def test_every_truncation_is_malformed_or_has_its_control_channel() -> None:
    for length in range(len(CONFIGURATION)):
        try:
            found = find_function(CONFIGURATION[:length])
        except Malformed:
            continue
        assert found.control_in == Pipe(0x81, 1024)


def test_a_descriptor_of_length_zero_does_not_hang() -> None:
    with pytest.raises(Malformed, match="descriptor at byte 17 says 0 bytes"):
        find_function(CONFIGURATION[:17] + b"\0" + CONFIGURATION[18:])
