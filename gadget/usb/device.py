"""A plugged-in USB device: a `Function` behind endpoint 0, parked requests and a link.

Every transport talks to this object in requests (URBs): `submit`, `cancel`, and answers through the
`on_complete` callback, each exactly once. `service(now_ns)` is called after every event and at
`next_wakeup_ns()`. Not thread safe: one loop owns it. Where a kernel answers endpoint 0 itself, the
places in its queues are the requests (`gadget.udc.queues`).

`observers` hear of each request: `("S", urb, now_ns)` when it comes, `("C", urb, now_ns)` when it has ended.
`wrappers` stand between the transport and the device and may end a request themselves (see `faults`).
"""

from collections.abc import Callable
from functools import partial
from typing import Protocol

from gadget.budget.bus import PAYLOAD_BYTES_PER_S, Bus
from gadget.usb.endpoint0 import Actions, ControlEndpoint, Setup
from gadget.usb.in_pipe import EINVAL, EPIPE, ESHUTDOWN, OK, InPipe, Urb
from u3v.errors import Stall
from u3v.function import Function
from u3v.wire.usb import Descriptors, Speed

MAX_URB_BYTES = 64 << 20
"""The longest request accepted. Linux sends at most 4 MiB over usbip; the local transport is not so bound."""

Observer = Callable[[str, Urb, int], None]


class RequestWrapper(Protocol):
    """Something between a transport and a device. One that does nothing answers OK and leaves requests alone."""

    def submitted(self, urb: Urb, now_ns: int) -> int:
        """OK: the request goes on to the device. Another status: it ends with that and the device never sees it."""

    def completed(self, urb: Urb, now_ns: int) -> None:
        """The request has ended; its answer may still be changed."""


class UsbDevice:
    """One device on one port. Raises nothing on host input: bad requests get an error status."""

    def __init__(
        self,
        function: Function,
        *,
        speed: Speed = Speed.SUPER,
        paced: bool = True,
        bus: Bus | None = None,
        offered_ma: int | None = None,
        on_complete: Callable[[Urb], None] | None = None,
    ) -> None:
        self.function = function
        self.speed = speed
        self.on_complete: Callable[[Urb], None] = on_complete or (lambda urb: None)
        self.observers: list[Observer] = []
        self.wrappers: list[RequestWrapper] = []
        self.bus = bus or Bus(PAYLOAD_BYTES_PER_S[speed])
        if not paced:
            self.bus = Bus()
        self.unplugged = False
        self._now_ns = 0
        self._offered_ma = offered_ma
        self._out_halted: dict[int, bool] = {}
        self._pipes: dict[int, InPipe] = {}
        self.ep0 = self._make_endpoints()

    def _describe(self) -> Descriptors:
        """What the function says of itself on a link that has come up at this speed."""
        self.function.use_speed(self.speed)
        return self.function.descriptors(self.speed)

    def _make_endpoints(self) -> ControlEndpoint:
        """Endpoint 0 at the link's speed, and the others that its descriptors name."""
        speed = self.speed
        actions = Actions(
            self._configure, self._set_interface, self._set_halt, self._clear_halt, self._is_halted
        )
        offered = speed.port_limit_ma if self._offered_ma is None else self._offered_ma
        ep0 = ControlEndpoint(self._describe(), speed, offered, actions)
        self._out_halted = {endpoint: False for endpoint in ep0.endpoints if not endpoint & 0x80}
        self._pipes = {}
        for endpoint in ep0.endpoints:
            if endpoint & 0x80:
                flow = self.bus.join(PAYLOAD_BYTES_PER_S[speed])
                self._pipes[endpoint] = pipe = InPipe(endpoint, self.function, speed.max_packet, flow)
                flow.on_turn = partial(self._turn, pipe)
        return ep0

    @property
    def descriptors(self) -> Descriptors:
        """What the device says of itself: read anew at each reset and replug, for its user can rename it."""
        return self.ep0.descriptors

    @property
    def configuration(self) -> int:
        """The active configuration value; 0 is unconfigured."""
        return self.ep0.configuration

    def submit(self, urb: Urb, now_ns: int) -> None:
        """Take a request. The answer comes through `on_complete`, possibly before this returns."""
        self._now_ns = now_ns
        urb.submitted_ns = now_ns
        for observe in tuple(self.observers):  # one may end itself
            observe("S", urb, now_ns)
        for wrapper in self.wrappers:
            if status := wrapper.submitted(urb, now_ns):
                self._finish(urb, status)
                return
        if self.unplugged:
            self._finish(urb, ESHUTDOWN)
        elif urb.length < 0 or urb.length > MAX_URB_BYTES:
            self._finish(urb, EINVAL)
        elif urb.setup:
            self._control(urb)
        elif not self.configuration or urb.endpoint not in self.ep0.endpoints:
            self._finish(urb, EPIPE)
        elif urb.endpoint & 0x80:
            if self._pipes[urb.endpoint].park(urb):
                return  # nothing changes for those before it
        else:
            self._out(urb)
        self.service(now_ns)

    def cancel(self, urb: Urb, now_ns: int) -> bool:
        """Take a parked request back (status -ECONNRESET, no completion). False: it was answered already.

        The next request in line is then the oldest and is served at once.
        """
        self._now_ns = now_ns
        pipe = self._pipes.get(urb.endpoint)
        if pipe is None or not pipe.unlink(urb):
            return False
        for observe in tuple(self.observers):
            observe("C", urb, now_ns)
        self.service(now_ns)
        return True

    def service(self, now_ns: int) -> None:
        """Let the function's time pass and serve parked requests."""
        self._now_ns = now_ns
        if self.unplugged:
            return
        wakeup = self.function.next_wakeup_ns()
        if wakeup is not None and wakeup <= now_ns:
            self.function.tick(now_ns)
        for pipe in self._pipes.values():
            pipe.pump(now_ns, self._complete)

    def _turn(self, pipe: InPipe, at_ns: int) -> bool:
        """The bus has come to a piece of this device's that was over at `at_ns`."""
        return pipe.take_turn(at_ns, self._complete)

    def has_request(self, endpoint: int) -> bool:
        """Whether a request of the host waits on this IN endpoint, if there is such an endpoint."""
        return endpoint in self._pipes and self._pipes[endpoint].has_request

    def next_wakeup_ns(self) -> int | None:
        """When `service` must be called next, if nothing else happens before."""
        if self.unplugged:
            return None
        instants = [pipe.next_wakeup_ns() for pipe in self._pipes.values()]
        instants.append(self.function.next_wakeup_ns())
        return min((at for at in instants if at is not None), default=None)

    def bus_reset(self, now_ns: int) -> None:
        """A port reset: unconfigured, everything stopped, parked requests end."""
        self._now_ns = now_ns
        self.ep0.reset(self._describe())
        self._configure(0)

    def unplug(self, now_ns: int) -> None:
        """The cable is pulled: every request ends with -ESHUTDOWN and so does every later one."""
        if self.unplugged:
            return
        self.bus_reset(now_ns)
        self.unplugged = True

    def replug(self, now_ns: int) -> None:
        """The cable is in again: a new, unconfigured device on the same port."""
        self._now_ns = now_ns
        self.ep0.reset(self._describe())
        self.unplugged = False

    def change_speed(self, speed: Speed) -> None:
        """The link comes up at another speed when the cable is in again. Raises ValueError while it is in."""
        if not self.unplugged:
            raise ValueError("the link is up")
        on_refusal = self.ep0.on_refusal
        self.speed = speed
        self.ep0 = self._make_endpoints()
        self.ep0.on_refusal = on_refusal

    def _control(self, urb: Urb) -> None:
        if len(urb.setup) != 8 or urb.endpoint & 0x7F:
            self._finish(urb, EINVAL)
            return
        setup = Setup.parse(urb.setup)
        try:
            answer = self.ep0.handle(setup, bytes(urb.data))
        except Stall:
            self._finish(urb, EPIPE)
            return
        if setup.device_to_host:
            answer = answer[: urb.length]
            if answer:
                urb.chunks.append(memoryview(answer))
            urb.actual = len(answer)
        else:
            urb.actual = len(urb.data)
        self._finish(urb, OK)

    def _out(self, urb: Urb) -> None:
        if self._out_halted[urb.endpoint]:
            self._finish(urb, EPIPE)
            return
        try:
            self.function.transfer_out(urb.endpoint, urb.data, self._now_ns)
        except Stall:
            self._out_halted[urb.endpoint] = True
            self._finish(urb, EPIPE)
            return
        urb.actual = len(urb.data)
        self._finish(urb, OK)

    def _finish(self, urb: Urb, status: int) -> None:
        urb.finish(status)
        self._complete(urb)

    def _complete(self, urb: Urb) -> None:
        for wrapper in self.wrappers:
            wrapper.completed(urb, self._now_ns)
        for observe in tuple(self.observers):
            observe("C", urb, self._now_ns)
        self.on_complete(urb)

    def _end_all(self, status: int) -> None:
        for pipe in self._pipes.values():
            for urb in pipe.take_all(status):
                self._complete(urb)

    def _configure(self, value: int) -> None:
        self._end_all(ESHUTDOWN)
        for pipe in self._pipes.values():
            pipe.halted = False
        for endpoint in self._out_halted:
            self._out_halted[endpoint] = False
        self.function.configure(value, self._now_ns)

    def _set_interface(self, number: int) -> None:
        """Selecting alternate setting 0 again resets the endpoints of that interface (USB 3.2, 9.4.10)."""
        for endpoint in self.ep0.endpoints_of(number):
            self._clear_halt(endpoint)

    def _set_halt(self, endpoint: int) -> None:
        if endpoint in self._pipes:
            self._pipes[endpoint].halted = True
            self._pipes[endpoint].flush()
        else:
            self._out_halted[endpoint] = True
        self.function.set_halt(endpoint, self._now_ns)

    def _clear_halt(self, endpoint: int) -> None:
        if endpoint in self._pipes:
            self._pipes[endpoint].halted = False
            self._pipes[endpoint].flush()
        else:
            self._out_halted[endpoint] = False
        self.function.clear_halt(endpoint, self._now_ns)

    def _is_halted(self, endpoint: int) -> bool:
        if endpoint in self._pipes:
            return self._pipes[endpoint].halted
        return self._out_halted[endpoint]
