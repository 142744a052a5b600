"""The seam between a USB function (a camera) and whatever carries it to a host.

A `Function` is pulled, never pushed: it keeps no host requests. Most transports know which requests the host
has waiting: they answer endpoint 0 for the function, park the host's IN requests and ask again after every event
(`gadget.usb.device` does both). Others write into a kernel's queue, and the kernel answers endpoint 0 (a Linux
gadget): they hear of configurations and halts as far as the kernel tells them. What either owes its function:

1. `configure(value)` on SET_CONFIGURATION, on bus reset (value 0) and on unplug (value 0): a full stop.
2. `transfer_out` once per complete OUT transfer; `Stall` raised from it is the endpoint's STALL.
3. `transfer_in` only when the transport has room for it (a host's request that waits on that endpoint, or a
   place in the kernel's queue) and the previous transfer was taken whole. `None` means NAK: ask again after
   any other call, or at `next_wakeup_ns()`.
4. `set_halt` / `clear_halt` on the standard requests; while halted no transfer calls are made.
5. `tick(now_ns)` whenever `next_wakeup_ns()` has passed.
6. Of a transfer whose lease has ended nothing more is sent: the device has discarded the rest. A transport
   with a queue takes back from it what it can.
7. `taken()` of a transfer, where there is one, once its last byte has reached the host (or the kernel's queue).
8. The memory behind an `InTransfer` may be reused once every view of it is gone, so drop them.
9. `use_speed` before any of these, and whenever the link has come up anew: registers and frame rate are for that speed
   from then on. Asking for descriptors changes nothing.

Time is an argument everywhere; `now_ns` never goes backwards. `descriptors` may be asked again at each reset or
replug: strings follow what the user has named the device, endpoints and interfaces stay.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from u3v.wire.usb import Descriptors, Speed


@dataclass(slots=True, eq=False)
class Lease:
    """What a device's transfers hold good for: once `ended`, the rest of a transfer must not be sent."""

    ended: bool = False


@dataclass(frozen=True, slots=True)
class InTransfer:
    """What a device sends next on one IN endpoint.

    `ends`: the transfer is over after `data`, also where the host has room for more (a zero-length packet
    where `data` is a multiple of the packet size). Where it is false the host asked for exactly this much.
    `ready_ns` and `bytes_per_s` say when the bytes exist: byte k at `ready_ns + k / bytes_per_s`
    (0 bytes_per_s: all of them at once). `lease`: until when the device stands by what was not sent yet.
    `taken()` is to be called once the last byte has reached the host.
    """

    data: memoryview
    ends: bool = True
    ready_ns: int = 0
    bytes_per_s: float = 0.0
    lease: Lease | None = None
    taken: Callable[[], None] | None = None


class Function(Protocol):
    """A USB function as its transport sees it."""

    def descriptors(self, speed: Speed) -> Descriptors: ...

    def use_speed(self, speed: Speed) -> None: ...

    def configure(self, value: int, now_ns: int) -> None: ...

    def transfer_out(self, endpoint: int, data: memoryview, now_ns: int) -> None: ...

    def transfer_in(self, endpoint: int, now_ns: int) -> InTransfer | None: ...

    def set_halt(self, endpoint: int, now_ns: int) -> None: ...

    def clear_halt(self, endpoint: int, now_ns: int) -> None: ...

    def tick(self, now_ns: int) -> None: ...

    def next_wakeup_ns(self) -> int | None: ...
