"""What checks need of the world besides a bus: a clock, and what can be done to the plug.

`Route` is the seam: the in-process bus, USB/IP and libusb each have one. Nothing under u3v/ has a clock of its own.
"""

from typing import Protocol

from u3v.host.bus import HostBus


class Route(Protocol):
    """A camera and the way to it. Times are ns of the route's own clock.

    `name`: for the report, such as "in process" or "usbip://127.0.0.1:3240/1-1". `clock`: which clock it is and
    how fine, in words. `abilities`: those of declare.NEEDS that belong to the way and not to the camera (raw0, bus,
    sim, 2dev, overlap, gapi). `speed`: "SS", "HS" as the host controller sees the link, "" where it does not
    say. `enumerated`: what whoever enumerated the device has read of its device descriptor, `known_of` it; b"" where
    that is not told."""

    @property
    def bus(self) -> HostBus: ...

    @property
    def name(self) -> str: ...

    @property
    def clock(self) -> str: ...

    @property
    def is_simulated(self) -> bool: ...

    @property
    def abilities(self) -> frozenset[str]: ...

    @property
    def speed(self) -> str: ...

    @property
    def enumerated(self) -> bytes: ...

    def now_ns(self) -> int: ...

    def wait(self, duration_ns: int) -> None:
        """Let time pass."""
        ...

    def reset(self) -> None:
        """A bus reset: afterwards the device is unconfigured (needs `bus`)."""
        ...

    def replug(self, speed: str = "") -> None:
        """Pull the plug and put it back, at another speed where one is given (needs `bus`). `bus` may be another."""
        ...

    def reopen(self) -> None:
        """Find the device again after it was gone, without touching the plug. Raises UsbGone where it stays away."""
        ...


def known_of(device_descriptor: bytes) -> bytes:
    """What hosts keep and tell: class, subclass, protocol, idVendor, idProduct, bcdDevice, bNumConfigurations."""
    return device_descriptor[4:7] + device_descriptor[8:14] + device_descriptor[17:18]
