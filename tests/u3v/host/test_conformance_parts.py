"""What the conformance checks are made of: the judge of frames, descriptions as plain XML, plans, chance."""

import struct

import pytest

from u3v.errors import Malformed
from u3v.host.conformance.chance import Chance
from u3v.host.conformance.description import Description, to_hex, to_int
from u3v.host.conformance.sfnc_names import STANDARD_FEATURES
from u3v.host.conformance.streaming import Expected, Plan, Shot, defects, expect_whole, planned

PLAN = Plan(64, 2, 32, 0, 64, 64)
WANT = Expected(150, 0x01080001, (15, 10, 0, 0))


def leader(block_id: int = 0, stamp: int = 100, kind: int = 1, code: int = 0x01080001) -> bytes:
    return struct.pack("<4sHHQHHQIIIIIHH", b"U3VL", 0, 52, block_id, 0, kind, stamp, code, 15, 10, 0, 0, 0, 0)


def trailer(block_id: int = 0, status: int = 0, valid: int = 150, lines: int = 10) -> bytes:
    return struct.pack("<4sHHQHHQI", b"U3VT", 0, 32, block_id, status, 0, valid, lines)


def shot(*, head: bytes = leader(), parts: tuple[int, ...] = (64, 64, 22), tail: bytes = trailer()) -> Shot:
    return Shot(PLAN, head, [bytes(length) for length in parts], tail)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("8", 8),
        ("08", 8),
        (" 010 ", 10),
        ("-1", -1),
        ("0x1F", 31),
        ("0X1f", 31),
        ("-0x1", -1),
        ("", None),
        ("x", None),
    ],
)
def test_integers_of_descriptions(text: str, value: int | None) -> None:
    assert to_int(text) == value


@pytest.mark.parametrize(
    ("text", "value"), [("9001", 0x9001), ("0x9001", 0x9001), ("", None), ("Event", None)]
)
def test_ids_of_descriptions(text: str, value: int | None) -> None:
    assert to_hex(text) == value


def test_lines_may_be_padded_in_a_whole_frame() -> None:
    """STREAM-006 alone judges it: by whether the payload has room for that."""
    padded = shot(head=leader()[:48] + b"\4\0" + leader()[50:])
    assert {name for name, _ in defects([padded], WANT)} == {"STREAM-006"}
    expect_whole([padded], WANT)


def test_whole_frames_have_no_defect() -> None:
    second = shot(head=leader(1, 200), tail=trailer(1))
    assert list(defects([shot(), second], WANT)) == []


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (shot(head=bytes(52)), "STREAM-001"),
        (shot(head=leader()[:50]), "STREAM-002"),
        (shot(head=leader(kind=2)), "STREAM-004"),
        (shot(head=leader(code=0x01080002)), "STREAM-005"),
        (shot(head=leader(3), tail=trailer(3)), "STREAM-007"),
        (shot(parts=(64, 64, 21), tail=trailer(valid=149)), "STREAM-010"),
        (shot(parts=(64, 63, 23)), "STREAM-011"),
        (shot(tail=trailer()[:31]), "STREAM-012"),
        (shot(tail=trailer(1)), "STREAM-013"),
        (shot(tail=trailer(status=0xA101)), "STREAM-014"),
        (shot(tail=trailer(valid=151)), "STREAM-015"),
        (shot(tail=trailer(lines=0)), "STREAM-016"),
        (shot(parts=(64, 0, 22), tail=trailer(valid=86)), "STREAM-017"),
    ],
)
def test_a_broken_frame_breaks_the_rule_of_its_check(broken: Shot, rule: str) -> None:
    assert rule in {name for name, _ in defects([broken], WANT)}


def flipped(raw: bytes, at: int, bit: int) -> bytes:
    return raw[:at] + bytes((raw[at] ^ 1 << bit,)) + raw[at + 1 :]


TIMESTAMP = range(20, 28)
"""Bytes of a leader whose value one frame alone does not tell."""


@pytest.mark.parametrize("bit", range(8))
def test_no_wrong_bit_of_a_leader_or_trailer_passes(bit: int) -> None:
    heads = [shot(head=flipped(leader(), at, bit)) for at in range(52) if at not in TIMESTAMP]
    tails = [shot(tail=flipped(trailer(), at, bit)) for at in range(32)]
    assert [broken for broken in heads + tails if not list(defects([broken], WANT))] == []


def test_timestamps_and_what_lies_between_frames_are_judged_over_a_row() -> None:
    late = shot(head=leader(1, 100), tail=trailer(1))
    assert {name for name, _ in defects([shot(), late], WANT)} == {"STREAM-008"}
    stray = shot(head=b"\0" * 20)
    assert {name for name, _ in defects([shot(), stray], WANT)} == {"STREAM-018"}


def test_a_plan_says_how_a_payload_is_cut() -> None:
    assert planned(PLAN, 150) == [64, 64, 22]
    assert planned(Plan(64, 4), 128) == [64, 64, 0, 0]
    assert planned(Plan(0, 7, 100, 50), 150) == [100, 50]


XML = """<RegisterDescription xmlns="http://www.genicam.org/GenApi/Version_1_1">
<Category Name="Root"><pFeature>Gain</pFeature></Category>
<Integer Name="Gain"><pValue>GainReg</pValue></Integer>
<IntReg Name="GainReg"><Address>0x100</Address><pIndex Offset="8">Sel</pIndex><Length>4</Length>
<AccessMode>RW</AccessMode><pPort>Device</pPort></IntReg>
<Integer Name="Sel"><Value>3</Value></Integer>
<IntReg Name="Stamp"><Address>0</Address><Length>8</Length><pPort>Event</pPort></IntReg>
<Port Name="Device"/><Port Name="Event"><EventID>9001</EventID></Port>
</RegisterDescription>"""


def test_a_description_knows_what_is_behind_a_feature_and_where() -> None:
    description = Description(XML.encode())
    assert description.features() == ["Gain"]
    assert description.register_behind("Gain") == "GainReg"
    assert description.registers() == ["GainReg"]
    assert description.place("GainReg", description.constant) == (0x118, 4)
    assert description.place("GainReg", lambda name: None) is None


@pytest.mark.parametrize("text", [XML[:-3], "<!DOCTYPE x>" + XML, XML.replace("Gain", "G\udcff")])
def test_what_is_no_plain_xml_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        Description(text.encode("utf-8", "surrogateescape"))


def test_names_of_the_sfnc_have_kinds_and_units() -> None:
    assert STANDARD_FEATURES["ExposureTime"].kinds == {"Float"}
    assert "us" in STANDARD_FEATURES["ExposureTime"].units
    assert STANDARD_FEATURES["AcquisitionStart"].kinds == {"Command"}


def test_chance_is_the_same_again_and_covers_its_range() -> None:
    once = [Chance(7).below(6) for _ in range(1)] + [Chance(7).one_of("abc") for _ in range(1)]
    assert once == [Chance(7).below(6), Chance(7).one_of("abc")]
    chance = Chance(1)
    assert {chance.below(6) for _ in range(200)} == set(range(6))
    assert all(2.0 <= chance.between(2.0, 3.0) <= 3.0 for _ in range(100))
