"""A toy function for transport tests: 0x01/0x81 echo, 0x83 an endless counter pattern, 0x82 always NAKs."""

from collections import deque

from u3v.errors import Stall
from u3v.function import InTransfer
from u3v.wire.usb import (
    CONTROL_IN,
    CONTROL_OUT,
    STREAM_IN,
    Descriptors,
    Identity,
    Speed,
    build_descriptors,
)

IDENTITY = Identity(
    vid=0x1209,
    pid=0x0001,
    bcd_device=0x0100,
    vendor="Toy",
    model="Toy One",
    family="Toys",
    device_version="1.0",
    manufacturer_info="none",
    serial="SER1",
    guid="120900000001",
    user_defined_name="",
    max_power_ma=400,
    max_power_high_speed_ma=400,
)


class Toy:
    """Echoes OUT transfers; a transfer of b"stall" stalls; streams `block` again and again."""

    def __init__(self, block: bytes = bytes(range(256)) * 4096, identity: Identity = IDENTITY) -> None:
        self.block = block
        self.identity = identity
        self.echo: deque[bytes] = deque()
        self.configured: list[int] = []
        self.halts: list[tuple[str, int]] = []

    def descriptors(self, speed: Speed) -> Descriptors:
        return build_descriptors(self.identity, speed)

    def use_speed(self, speed: Speed) -> None:
        pass

    def configure(self, value: int, now_ns: int) -> None:
        self.configured.append(value)
        self.echo.clear()

    def transfer_out(self, endpoint: int, data: memoryview, now_ns: int) -> None:
        assert endpoint == CONTROL_OUT
        if bytes(data) == b"stall":
            raise Stall("asked to")
        self.echo.append(bytes(data))

    def transfer_in(self, endpoint: int, now_ns: int) -> InTransfer | None:
        if endpoint == CONTROL_IN and self.echo:
            return InTransfer(memoryview(self.echo.popleft()))
        if endpoint == STREAM_IN:
            return InTransfer(memoryview(self.block), ends=False)
        return None

    def set_halt(self, endpoint: int, now_ns: int) -> None:
        self.halts.append(("set", endpoint))

    def clear_halt(self, endpoint: int, now_ns: int) -> None:
        self.halts.append(("clear", endpoint))

    def tick(self, now_ns: int) -> None:
        pass

    def next_wakeup_ns(self) -> int | None:
        return None
