"""The camera's register space: regions of bytes, seen from the host and from the device.

Bytes are the truth: each region is one bytearray. The host's view checks existence, access rights, locks and
values and runs hooks; the device's view does none of that. Always true: a refused write changes nothing,
because every register it touches is validated before any byte is committed, and where a hook refuses what
was committed, all of it is taken back. Inside a region, bytes that belong to no register read as zero and refuse
writes. A read that spans several registers gives zeros for those which cannot be read, as hosts that fetch a whole
block in one command expect; one that asks for nothing else is refused.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass

from u3v.errors import GenCPError, Status

Refresh = Callable[[], bytes]
Check = Callable[[bytes], None]
Hook = Callable[[], None]


@dataclass(slots=True)
class Register:
    """One register. `access`: "R", "W" or "RW".

    `refresh` gives the current bytes just before the host reads them; `check` refuses new bytes by raising
    GenCPError; `written` runs after a host write was committed and may still refuse it by raising GenCPError.
    `busy_ms`: how long a write of these bytes keeps the control channel busy. `absent`: the standard has the
    register, this device has not: it answers as an address without one.
    """

    name: str
    address: int
    size: int
    access: str = "R"
    refresh: Refresh | None = None
    check: Check | None = None
    written: Hook | None = None
    busy_ms: Callable[[bytes], int] = lambda raw: 0
    absent: bool = False

    @property
    def end(self) -> int:
        return self.address + self.size

    def __str__(self) -> str:
        return f"{self.name} at {self.address:#x}..{self.end - 1:#x}"


class Region:
    """A stretch of address space with its bytes and its registers."""

    def __init__(self, name: str, base: int, size: int) -> None:
        self.name = name
        self.base = base
        self.data = bytearray(size)
        self._starts: list[int] = []
        self._registers: list[Register] = []

    @property
    def end(self) -> int:
        return self.base + len(self.data)

    def add(self, register: Register) -> Register:
        """Raises ValueError, naming both parties, where it overlaps another register or leaves the region."""
        if register.address < self.base or register.end > self.end:
            raise ValueError(f"{register} is outside of region {self.name} {self.base:#x}..{self.end - 1:#x}")
        for other in self.overlapping(register.address, register.size):
            raise ValueError(f"{register} overlaps {other}")
        index = bisect_left(self._starts, register.address)
        self._starts.insert(index, register.address)
        self._registers.insert(index, register)
        return register

    def overlapping(self, address: int, count: int) -> list[Register]:
        """The registers that share bytes with `count` bytes at `address`, in address order."""
        first = max(bisect_right(self._starts, address) - 1, 0)
        last = bisect_left(self._starts, address + count)
        return [r for r in self._registers[first:last] if r.end > address]

    def read(self, address: int, count: int) -> bytes:
        """The device's view."""
        at = address - self.base
        return bytes(self.data[at : at + count])

    def write(self, address: int, data: bytes) -> None:
        """The device's view."""
        at = address - self.base
        self.data[at : at + len(data)] = data


class Memory:
    """All regions. `host_read` and `host_write` raise GenCPError with the status for the acknowledge."""

    def __init__(self) -> None:
        self.version = 0
        """Changes with every write: what was computed from the registers holds good while it stays the same."""
        self._bases: list[int] = []
        self._regions: list[Region] = []

    def add_region(self, name: str, base: int, size: int) -> Region:
        """Raises ValueError where it overlaps another region."""
        region = Region(name, base, size)
        for other in self._regions:
            if region.base < other.end and other.base < region.end:
                raise ValueError(
                    f"region {name} {base:#x}..{region.end - 1:#x} overlaps {other.name} "
                    f"{other.base:#x}..{other.end - 1:#x}"
                )
        index = bisect_left(self._bases, base)
        self._bases.insert(index, base)
        self._regions.insert(index, region)
        return region

    def host_read(self, address: int, count: int) -> bytes:
        """`count` bytes at `address`, across registers and gaps, within one region."""
        region = self._region(address, count)
        touched = region.overlapping(address, count)
        hidden = [r for r in touched if r.absent or "R" not in r.access]
        for register in touched:
            if register.refresh is not None:
                region.write(register.address, register.refresh())
        data = bytearray(region.read(address, count))
        unread = 0
        for register in hidden:
            first, last = max(address, register.address), min(address + count, register.end)
            data[first - address : last - address] = bytes(last - first)
            unread += last - first
        if hidden and unread == count:
            if all(r.absent for r in hidden):
                raise GenCPError(Status.INVALID_ADDRESS, f"{hidden[0]}: this device has no such register")
            raise GenCPError(Status.ACCESS_DENIED, f"{hidden[0]} is write-only")
        return bytes(data)

    def host_write(self, address: int, data: bytes) -> int:
        """Write `data` at `address`, whole registers or parts. Returns the milliseconds it keeps busy."""
        region = self._region(address, len(data))
        touched = region.overlapping(address, len(data))
        covered = address
        for register in touched:
            if register.address > covered:
                break
            covered = register.end
        if covered < address + len(data):
            raise GenCPError(Status.INVALID_ADDRESS, f"no register at {covered:#x}")
        staged: list[tuple[Register, bytes]] = []
        for register in touched:
            if register.absent:
                raise GenCPError(Status.INVALID_ADDRESS, f"{register}: this device has no such register")
            if "W" not in register.access:
                raise GenCPError(Status.WRITE_PROTECT, f"{register} is read-only")
            value = bytearray(region.read(register.address, register.size))
            first = max(address, register.address)
            last = min(address + len(data), register.end)
            value[first - register.address : last - register.address] = data[first - address : last - address]
            if register.check is not None:
                register.check(bytes(value))
            staged.append((register, bytes(value)))
        before = [(register.address, region.read(register.address, register.size)) for register, _ in staged]
        for register, new in staged:
            region.write(register.address, new)
        self.version += 1
        try:
            for register, _ in staged:
                if register.written is not None:
                    register.written()
        except GenCPError:
            for at, old in before:
                region.write(at, old)
            self.version += 1
            raise
        return sum(register.busy_ms(new) for register, new in staged)

    def device_read(self, address: int, count: int) -> bytes:
        """The device's view: no checks, no hooks. Raises GenCPError where nothing is mapped."""
        return self._region(address, count).read(address, count)

    def device_write(self, address: int, data: bytes) -> None:
        """The device's view: no checks, no hooks. Raises GenCPError where nothing is mapped."""
        self._region(address, len(data)).write(address, data)
        self.version += 1

    def name_at(self, address: int) -> str:
        """The register that begins at this address, "" where none does."""
        index = bisect_right(self._bases, address) - 1
        found = self._regions[index].overlapping(address, 1) if index >= 0 else []
        return found[0].name if found and found[0].address == address else ""

    def view(self, address: int, count: int) -> memoryview:
        """The bytes themselves, for a reader that comes often. Raises GenCPError where nothing is mapped."""
        region = self._region(address, count)
        at = address - region.base
        return memoryview(region.data)[at : at + count].toreadonly()

    def _region(self, address: int, count: int) -> Region:
        index = bisect_right(self._bases, address) - 1
        if index < 0 or address + count > self._regions[index].end:
            raise GenCPError(
                Status.INVALID_ADDRESS, f"nothing mapped at {address:#x}..{address + count - 1:#x}"
            )
        return self._regions[index]
