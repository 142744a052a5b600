from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from u3v.errors import GenCPError, Status
from u3v.memory import Memory, Region, Register


def refuse(raw: bytes) -> None:
    raise GenCPError(Status.INVALID_PARAMETER, f"{raw.hex()} is refused")


def memory_with(*registers: Register, base: int = 0x100, size: int = 0x40) -> tuple[Memory, Region]:
    memory = Memory()
    region = memory.add_region("test", base, size)
    for register in registers:
        region.add(register)
    return memory, region


def status_of(call: Callable[[], object]) -> tuple[Status, str]:
    with pytest.raises(GenCPError) as caught:
        call()
    return caught.value.status, str(caught.value)


def test_registers_must_not_overlap() -> None:
    _, region = memory_with(Register("A", 0x100, 8))
    with pytest.raises(ValueError, match=r"^B at 0x104\.\.0x107 overlaps A at 0x100\.\.0x107$"):
        region.add(Register("B", 0x104, 4))
    region.add(Register("C", 0x108, 4))
    with pytest.raises(ValueError, match=r"^D at 0xfc\.\.0xff is outside of region test 0x100\.\.0x13f$"):
        region.add(Register("D", 0xFC, 4))
    with pytest.raises(ValueError, match=r"^E at 0x13c\.\.0x143 is outside of region test 0x100\.\.0x13f$"):
        region.add(Register("E", 0x13C, 8))


def test_regions_must_not_overlap() -> None:
    memory, _ = memory_with()
    with pytest.raises(ValueError, match=r"^region next 0x120\.\.0x15f overlaps test 0x100\.\.0x13f$"):
        memory.add_region("next", 0x120, 0x40)
    memory.add_region("before", 0xC0, 0x40)
    memory.add_region("after", 0x140, 0x40)


@pytest.mark.parametrize(
    ("address", "count", "span"),
    [
        (0, 4, "0x0..0x3"),
        (0xFF, 2, "0xff..0x100"),
        (0x13F, 2, "0x13f..0x140"),
        (0x140, 1, "0x140..0x140"),
        (2**64 - 1, 8, "0xffffffffffffffff..0x10000000000000006"),
    ],
)
def test_nothing_mapped(address: int, count: int, span: str) -> None:
    memory, _ = memory_with(Register("A", 0x100, 0x40, "RW"))
    expected = (Status.INVALID_ADDRESS, f"nothing mapped at {span}")
    assert status_of(lambda: memory.host_read(address, count)) == expected
    assert status_of(lambda: memory.host_write(address, bytes(count))) == expected
    assert status_of(lambda: memory.device_read(address, count)) == expected
    assert status_of(lambda: memory.device_write(address, bytes(count))) == expected


def test_reads_cross_registers_and_gaps() -> None:
    memory, region = memory_with(Register("A", 0x104, 4), Register("B", 0x10C, 4))
    region.write(0x104, b"aaaa")
    region.write(0x10C, b"bbbb")
    assert memory.host_read(0x106, 8) == b"aa\0\0\0\0bb"
    assert memory.host_read(0x100, 0x40) == bytes(4) + b"aaaa" + bytes(4) + b"bbbb" + bytes(0x30)


def test_write_only_registers_cannot_be_read() -> None:
    memory, _ = memory_with(Register("A", 0x104, 4), Register("Key", 0x108, 4, "W"))
    expected = (Status.ACCESS_DENIED, "Key at 0x108..0x10b is write-only")
    assert status_of(lambda: memory.host_read(0x108, 4)) == expected
    memory.device_write(0x108, b"open")
    assert memory.host_read(0x104, 5) == bytes(5)  # B18: what lies beside it reads in one go
    assert memory.host_read(0x104, 12) == bytes(12)
    memory.host_read(0x104, 4)
    memory.host_read(0x10C, 4)


def test_read_only_registers_cannot_be_written() -> None:
    memory, region = memory_with(Register("A", 0x100, 4, "RW"), Register("Id", 0x104, 4))
    expected = (Status.WRITE_PROTECT, "Id at 0x104..0x107 is read-only")
    assert status_of(lambda: memory.host_write(0x104, b"1234")) == expected
    assert status_of(lambda: memory.host_write(0x100, b"12345678")) == expected
    assert region.data == bytes(0x40)


@pytest.mark.parametrize(
    ("address", "count", "where"),
    [(0x100, 4, 0x100), (0x104, 8, 0x108), (0x108, 4, 0x108), (0x102, 6, 0x102), (0x10C, 5, 0x110)],
)
def test_gaps_cannot_be_written(address: int, count: int, where: int) -> None:
    memory, region = memory_with(Register("A", 0x104, 4, "RW"), Register("B", 0x10C, 4, "RW"))
    assert status_of(lambda: memory.host_write(address, b"x" * count)) == (
        Status.INVALID_ADDRESS,
        f"no register at {where:#x}",
    )
    assert region.data == bytes(0x40)


def test_a_refused_write_changes_nothing() -> None:
    ran: list[str] = []
    memory, region = memory_with(
        Register("A", 0x100, 4, "RW", written=lambda: ran.append("A")),
        Register("B", 0x104, 4, "RW", check=refuse, written=lambda: ran.append("B")),
    )
    refusal = (Status.INVALID_PARAMETER, "35363738 is refused")
    assert status_of(lambda: memory.host_write(0x100, b"12345678")) == refusal
    assert region.data == bytes(0x40)
    assert not ran
    memory.host_write(0x100, b"1234")
    assert region.data == b"1234" + bytes(0x3C)
    assert ran == ["A"]


def test_hooks_run_after_all_is_committed() -> None:
    seen: list[bytes] = []
    memory, region = memory_with(
        Register("A", 0x100, 4, "RW", written=lambda: seen.append(region.read(0x100, 8)), busy_ms=len),
        Register("B", 0x104, 4, "RW", written=lambda: seen.append(region.read(0x100, 8)), busy_ms=len),
    )
    assert memory.host_write(0x100, b"12345678") == 8
    assert seen == [b"12345678"] * 2


def test_a_part_of_a_register_is_checked_as_a_whole() -> None:
    checked: list[bytes] = []
    memory, region = memory_with(Register("A", 0x100, 8, "RW", check=checked.append))
    region.write(0x100, b"abcdefgh")
    memory.host_write(0x102, b"XY")
    assert checked == [b"abXYefgh"]
    assert memory.host_read(0x100, 8) == b"abXYefgh"


def test_refresh_runs_before_reads_and_only_for_what_is_read() -> None:
    count = 0

    def refresh() -> bytes:
        nonlocal count
        count += 1
        return count.to_bytes(4, "little")

    memory, _ = memory_with(Register("A", 0x100, 4), Register("Count", 0x104, 4, refresh=refresh))
    assert memory.host_read(0x100, 4) == bytes(4)
    assert memory.host_read(0x104, 4) == b"\1\0\0\0"
    assert memory.host_read(0x107, 1) == b"\0"
    assert memory.host_read(0x102, 4) == b"\0\0\3\0"


def test_the_device_sees_bytes_without_rights_or_hooks() -> None:
    memory, _ = memory_with(
        Register("Key", 0x100, 4, "W", check=refuse, written=lambda: pytest.fail("a hook ran"))
    )
    memory.device_write(0x100, b"1234")
    assert memory.device_read(0x100, 4) == b"1234"


class Model:
    """The same rules, byte by byte: what every host access must give."""

    def __init__(self, spans: list[tuple[int, int, str]]) -> None:
        self.rights = {at: access for start, size, access in spans for at in range(start, start + size)}
        self.data = dict.fromkeys(range(0x100, 0x140), 0)

    def read(self, address: int, count: int) -> bytes | Status:
        span = range(address, address + count)
        if any(at not in self.data for at in span):
            return Status.INVALID_ADDRESS
        readable = ["R" in self.rights.get(at, "R") for at in span]
        if not any(readable):
            return Status.ACCESS_DENIED
        return bytes(self.data[at] if there else 0 for at, there in zip(span, readable, strict=True))

    def write(self, address: int, data: bytes) -> Status | None:
        span = range(address, address + len(data))
        if any(at not in self.data for at in span) or any(at not in self.rights for at in span):
            return Status.INVALID_ADDRESS
        if any("W" not in self.rights[at] for at in span):
            return Status.WRITE_PROTECT
        self.data.update(zip(span, data, strict=True))
        return None


@st.composite
def layouts(draw: st.DrawFn) -> list[tuple[int, int, str]]:
    spans: list[tuple[int, int, str]] = []
    at = 0x100
    while True:
        at += draw(st.sampled_from([0, 0, 0, 1, 4]))
        size = draw(st.sampled_from([1, 2, 4, 8]))
        if at + size > 0x140:
            return spans
        spans.append((at, size, draw(st.sampled_from(["R", "W", "RW", "RW"]))))
        at += size


accesses = st.lists(
    st.tuples(st.integers(0xF8, 0x144), st.integers(1, 12), st.none() | st.binary(min_size=12, max_size=12)),
    max_size=12,
)


@given(layouts(), accesses)
def test_against_a_model_of_bytes(
    spans: list[tuple[int, int, str]], steps: list[tuple[int, int, bytes | None]]
) -> None:
    memory, region = memory_with(*(Register(f"R{a:x}", a, size, access) for a, size, access in spans))
    model = Model(spans)
    for address, count, data in steps:
        got: bytes | Status | None
        try:
            if data is None:
                got = memory.host_read(address, count)
            else:
                memory.host_write(address, data[:count])
                got = None
        except GenCPError as error:
            got = error.status
        expected = model.read(address, count) if data is None else model.write(address, data[:count])
        assert got == expected
        assert bytes(region.data) == bytes(model.data.values())
