"""A camera as a USB function: endpoints, halts, and what USB does to the three channels. Implements `u3v.function`.

State: which endpoints a host has halted. Always true: SET_CONFIGURATION and a bus reset are a full stop; a halt ends
the transfers of its endpoint, and that of the stream endpoint the stream's enable bit with them. An acquisition is
then suspended, not ended: a host that enables the stream again goes on without AcquisitionStart. One that comes
after a host which died finds nothing locked, and what it writes there ends the old acquisition for good. Clearing a
halt drops what was queued; a stream that is enabled goes on at a leader. Settings survive all of these
(docs/decisions records why).
"""

from u3v.camera import Camera
from u3v.errors import Stall
from u3v.function import InTransfer
from u3v.happenings import Happening
from u3v.model import USB
from u3v.usb3v.bootstrap import Bootstrap, WireOptions
from u3v.usb3v.control import ControlChannel
from u3v.usb3v.event import EventChannel
from u3v.usb3v.stream import StreamChannel
from u3v.wire.usb import (
    CONTROL_IN,
    CONTROL_OUT,
    EVENT_IN,
    STREAM_IN,
    Descriptors,
    Identity,
    Speed,
    build_descriptors,
)
from u3v.wire_traits import Link

HIGH_SPEED_BYTES_PER_S = 40_000_000.0
"""What a camera gets through a High-Speed link in practice (480 Mbit/s, 512-byte packets); assumed."""


class UsbFunction:
    """`camera` on a USB3 Vision wire."""

    def __init__(self, camera: Camera, options: WireOptions | None = None) -> None:
        self.camera = camera
        self.options = options or WireOptions()
        self.speed = Speed.SUPER
        self._own_link = camera.link
        self._halted: set[int] = set()
        self.control = ControlChannel(
            camera.memory, self.options.response_time_ms, self.options.transfer_bytes
        )
        self.event = EventChannel()
        self.stream = StreamChannel(camera, lambda: self.speed.max_packet)
        self.bootstrap = Bootstrap(camera, self.stream, self.event, self.options, self._halted.__contains__)
        camera.notifications.send_through(self.event)
        camera.happenings.listen(self._reset, Happening.DEVICE_RESET)

    @property
    def identity(self) -> Identity:
        return self.camera.model.identity(self.camera.options.serial, self.camera.user_defined_name)

    def descriptors(self, speed: Speed) -> Descriptors:
        return build_descriptors(self.identity, speed, events=bool(self.camera.family.events))

    def use_speed(self, speed: Speed) -> None:
        self.speed = speed
        self.bootstrap.show_speed(speed)
        self.camera.use_link(self._link(speed))

    def configure(self, value: int, now_ns: int) -> None:
        self._halted.clear()
        self.camera.configure(bool(value), now_ns)
        self._stop_stream()
        self.control.flush()
        self._stop_events()

    def transfer_out(self, endpoint: int, data: memoryview, now_ns: int) -> None:
        self.camera.tick(now_ns)
        if endpoint != CONTROL_OUT:
            raise Stall(f"no OUT endpoint {endpoint:#04x}")
        self.control.receive(data, now_ns)

    def transfer_in(self, endpoint: int, now_ns: int) -> InTransfer | None:
        self.camera.at(now_ns)
        if endpoint == STREAM_IN:
            return self.stream.next_transfer()
        if endpoint == CONTROL_IN:
            return self.control.next_transfer(now_ns)
        if endpoint == EVENT_IN:
            return self.event.next_transfer()
        raise Stall(f"no IN endpoint {endpoint:#04x}")

    def set_halt(self, endpoint: int, now_ns: int) -> None:
        self.camera.at(now_ns)
        self._halted.add(endpoint)
        self._drop(endpoint)
        if endpoint == STREAM_IN:
            self.camera.acquisition.suspend(now_ns)
            self._stop_stream()

    def clear_halt(self, endpoint: int, now_ns: int) -> None:
        self.camera.at(now_ns)
        self._halted.discard(endpoint)
        self._drop(endpoint)

    def tick(self, now_ns: int) -> None:
        self.camera.tick(now_ns)

    def next_wakeup_ns(self) -> int | None:
        instants = (self.camera.next_wakeup_ns(), self.control.next_wakeup_ns(self.camera.now_ns))
        return min((at for at in instants if at is not None), default=None)

    def _link(self, speed: Speed) -> Link:
        """The camera's own wire is the budget, unless the bus is slower still."""
        own = self._own_link
        rate = own.payload_bytes_per_s
        if speed is Speed.HIGH:
            rate = min(rate, HIGH_SPEED_BYTES_PER_S)
        return Link(speed.bits_per_s if self.camera.model.wire == USB else own.bits_per_s, rate)

    def _drop(self, endpoint: int) -> None:
        """What was queued on this endpoint is not sent any more."""
        if endpoint in (CONTROL_IN, CONTROL_OUT):
            self.control.flush()
        elif endpoint == EVENT_IN:
            self.event.flush()
        elif endpoint == STREAM_IN:
            self.stream.flush()

    def _stop_stream(self) -> None:
        self.stream.disable()
        self.bootstrap.show_stream_off()

    def _stop_events(self) -> None:
        self.event.set_enabled(False)
        self.bootstrap.show_events_off()

    def _reset(self, _what: Happening, _at_ns: int, _block_id: int) -> None:
        self._stop_stream()
        self._stop_events()
        self.bootstrap.power_up()
