"""A camera on GigE Vision: registers, control, stream and events of one device. Sockets are outside: what came is
handed in with its peer, what goes out is handed over with its destination.
"""

from collections.abc import Callable, Iterable
from typing import Protocol

from u3v.camera import Camera
from u3v.gev.actions import Actions
from u3v.gev.bootstrap import Address, Bootstrap, WireOptions, ip_text
from u3v.gev.clock import Clock, Domain
from u3v.gev.control import ControlChannel, Datagram, Peer
from u3v.gev.event import EventChannel
from u3v.gev.stream import Sent, StreamChannel
from u3v.happenings import Happening

LOOK_EACH_NS = 2_000_000
"""While packets are sent, the camera is asked that often whether it has something to do."""


class Datagrams(Protocol):
    """What goes between a camera and its sockets: the seam where faults stand."""

    def datagrams(self, waiting: Iterable[Datagram], now_ns: int) -> list[Datagram]:
        """Answers to all commands that waited in the control socket."""

    def tick(self, now_ns: int) -> list[Datagram]:
        """Let everything happen that is due; acknowledges that were late."""

    def events(self, now_ns: int) -> list[Datagram]:
        """Events to be sent from the message socket now."""

    def packets(self, now_ns: int, most: int) -> list[Sent]:
        """Packets to be sent from the stream socket now, about so many."""

    def next_wakeup_ns(self) -> int | None:
        """When any of these has something; that may be past already."""


class GevFunction:
    """`camera` on a GigE Vision wire, at `address`; what crosses the wire goes through `Datagrams`. `domain`: the
    clocks that its own may follow (PTP).

    `moved(address)`, set by whoever has the sockets: the camera is to be at another address; False: it cannot.
    """

    def __init__(
        self,
        camera: Camera,
        address: Address | None = None,
        options: WireOptions | None = None,
        domain: Domain | None = None,
    ) -> None:
        self.moved: Callable[[Address], bool] = lambda _address: False
        self.camera = camera
        self._first = address or Address()
        """Where it is after a power-up, unless a host has set a persistent address."""
        self.bootstrap = Bootstrap(camera, options or WireOptions.of(camera.model), self._first)
        self.stream = StreamChannel(camera, self.bootstrap)
        self.event = EventChannel(self.bootstrap)
        self.actions = Actions(camera, self.bootstrap)
        self.clock = Clock(camera, self.bootstrap, domain or Domain())
        self.control = ControlChannel(
            camera,
            self.bootstrap,
            resend=self.stream.resend,
            act=self.actions.command,
            move=self._move,
            taken=lambda: camera.configure(True, camera.now_ns),
            released=self._released,
        )
        self._due_ns: int | None = None
        self._looked_ns: int | None = None
        """When the camera has something to do, and when it was asked."""
        camera.notifications.send_through(self.event)
        camera.happenings.listen(self._reset, Happening.DEVICE_RESET)

    @property
    def destination(self) -> Peer:
        """Where the stream goes."""
        return ip_text(self.bootstrap.get("SCDA")), self.bootstrap.get("SCP") & 0xFFFF

    def use_ports(self, stream: int, message: int) -> None:
        """The ports of the sockets that the stream and events come from."""
        self.bootstrap.stream_port, self.bootstrap.message_port = stream, message
        self.bootstrap.show_address()

    def datagrams(self, waiting: Iterable[Datagram], now_ns: int) -> list[Datagram]:
        self._looked_ns = None
        self._go_on(now_ns)
        return list(self.control.datagrams(waiting, now_ns))

    def tick(self, now_ns: int) -> list[Datagram]:
        self._go_on(now_ns)
        if not self._knows_when(now_ns) or (self._due_ns is not None and self._due_ns <= now_ns):
            self._looked_ns = None
            self.camera.tick(now_ns)
        return list(self.control.tick(now_ns))

    def events(self, now_ns: int) -> list[Datagram]:
        return self.event.take(now_ns)

    def packets(self, now_ns: int, most: int) -> list[Sent]:
        self.camera.at(now_ns)
        return self.stream.take(now_ns, most)

    def next_wakeup_ns(self) -> int | None:
        if not self._knows_when(self.camera.now_ns):
            self._due_ns, self._looked_ns = self.camera.next_wakeup_ns(), self.camera.now_ns
        instants = (
            self._due_ns,
            self.clock.next_wakeup_ns(),
            self.actions.next_wakeup_ns(),
            self.control.next_wakeup_ns(),
            self.event.next_wakeup_ns(),
            self.stream.next_wakeup_ns(),
        )
        return min((at for at in instants if at is not None), default=None)

    def _knows_when(self, now_ns: int) -> bool:
        """Whether the camera was asked lately when it has something to do: packets are due far more often."""
        return (
            self.stream.is_sending and self._looked_ns is not None and now_ns - self._looked_ns < LOOK_EACH_NS
        )

    def _go_on(self, now_ns: int) -> None:
        """Clock and actions first: an action happens at its instant, before what is due later."""
        self.clock.tick(now_ns)
        self.actions.tick(now_ns)
        self.camera.at(now_ns)

    def _move(self, address: Address | None) -> bool:
        """FORCEIP. None: to where a power-up would bring it."""
        address = address or self.bootstrap.persistent_address or self._first
        if address != self.bootstrap.address and not self.moved(address):
            return False
        self.bootstrap.show_address(address)
        return True

    def _released(self) -> None:
        self.stream.close()
        self.bootstrap.set("MCP", 0)
        self.event.stop()
        self.camera.configure(False, self.camera.now_ns)

    def _reset(self, _what: Happening, _at_ns: int, _block_id: int) -> None:
        self.control.release()
        self.actions.forget()
        self.clock.enable(False, self.camera.now_ns)
        self.bootstrap.power_up()
        self.stream.bandwidth.use()
        self._move(None)
