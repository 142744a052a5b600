"""The machine that local programs see: which cameras are plugged in where, who has opened them, who hears of it.

`UsbDevice`s on one side, clients behind a preload library on the other, one loop. Each open file of a client is a
`Connection`. State: the nodes (a device, its number, its port), and for each the socket that clients open and the FIFO
that umockdev's poll. Always true: the directory shows a node exactly while it is plugged in; no two nodes have
the same number or the same port.
"""

import os
import socket
from collections.abc import Iterable
from pathlib import Path

from gadget.local.connection import Connection, Gate
from gadget.local.node import Memory, Node
from gadget.local.tree import Tree, kernel_message, udev_message, uevent
from gadget.time.accepting import Acceptor
from gadget.time.loop import READ, Loop
from gadget.usb.device import UsbDevice

OWN_VARIABLE = "U3V_LOCAL_DIR"
UMOCKDEV_VARIABLE = "UMOCKDEV_DIR"
BUS = 1
MAX_CONNECTIONS = 200


class LocalServer:
    """Serves `cameras` below `directory`, a private directory with a short path (80 characters at most).

    `usbfs_memory_bytes` is Linux's usbfs_memory_mb (0: no limit).
    Registers itself and the devices with `loop`; raises OSError where the directory cannot be used.
    """

    def __init__(
        self,
        loop: Loop,
        directory: Path,
        cameras: Iterable[UsbDevice] = (),
        *,
        usbfs_memory_bytes: int = 0,
    ) -> None:
        self.loop = loop
        self.directory = directory
        self.tree = Tree(directory)
        self.memory = Memory(usbfs_memory_bytes)
        self.nodes: list[Node] = []
        self.connections: set[Connection] = set()
        self._acceptors: dict[Node, Acceptor] = {}
        self._fifos: dict[Node, Gate] = {}
        self._subscribers: set[socket.socket] = set()
        self._next_number = 2
        self._views: list[Tree] = []
        uevents = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        uevents.bind(str(directory / "uevents"))
        uevents.listen(64)
        self._uevents = Acceptor(loop, uevents, self._subscribe)
        loop.services.append(self)
        for device in cameras:
            self.plug(device)

    def plug(self, device: UsbDevice, port: int | None = None) -> Node:
        """Enumerate and configure a device and show it to the clients. Port 1 is the first."""
        now_ns = self.loop.now_ns()
        used = {node.port for node in self.nodes}
        if port is None:
            port = next(number for number in range(1, 128) if number not in used)
        if port in used:
            raise ValueError(f"port {port} is taken")
        node = Node(device, BUS, self._take_number(), port, self.memory)
        node.enumerate(now_ns)
        node.on_configured = lambda: self._configured(node)
        self.nodes.append(node)
        if device not in self.loop.services:
            self.loop.services.append(device)
        self._acceptors[node] = self._listen(node)
        for tree in (self.tree, *self._views):
            tree.add(node)
        fifo = os.open(self.tree.node_path(node), os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._fifos[node] = Gate(fifo, fifo)
        self._broadcast(node, "add")
        return node

    def unplug(self, node: Node) -> None:
        """Pull the cable: requests end, the node disappears, clients are told."""
        if node not in self.nodes:
            return
        self.nodes.remove(node)
        node.on_configured = lambda: None
        node.device.unplug(self.loop.now_ns())
        if node.device in self.loop.services:
            self.loop.services.remove(node.device)
        self._acceptors.pop(node).close()
        for tree in (*self._views, self.tree):
            tree.remove(node)
        for connection in [c for c in self.connections if c.handle.node is node]:
            connection.device_gone()
        if all(c.handle.node is not node for c in self.connections):
            self._close_fifo(node)
        self._broadcast(node, "remove")

    def environment(self, preload: Path, own: bool) -> dict[str, str]:
        """The variables a client needs. For umockdev call this once per client: the view is its own."""
        earlier = os.environ.get("LD_PRELOAD", "")
        variables = {"LD_PRELOAD": f"{preload} {earlier}".strip()}
        if own:
            return variables | {OWN_VARIABLE: str(self.directory)}
        view = Tree(self.directory / f"c{len(self._views)}", self.tree)
        self._views.append(view)
        for node in self.nodes:
            view.add(node)
        return variables | {UMOCKDEV_VARIABLE: str(view.directory)}

    def close(self) -> None:
        """Hang up on everybody. The directory is left to its owner, the devices stay plugged."""
        for connection in list(self.connections):
            connection.close()
        for acceptor in (*self._acceptors.values(), self._uevents):
            acceptor.close()
        for sock in self._subscribers:
            self.loop.unwatch(sock)
            sock.close()
        for gate in self._fifos.values():
            gate.close()
        self._acceptors.clear()
        self._subscribers.clear()
        self._fifos.clear()
        for service in (self, *(node.device for node in self.nodes)):
            if service in self.loop.services:
                self.loop.services.remove(service)
        self.nodes.clear()

    def next_wakeup_ns(self) -> int | None:
        return min((c.until_ns for c in self.connections if c.until_ns is not None), default=None)

    def service(self, now_ns: int) -> None:
        for connection in list(self.connections):
            if connection.until_ns is not None and connection.until_ns <= now_ns:
                connection.wake(now_ns)

    def forget(self, connection: Connection) -> None:
        """A connection is over."""
        node = connection.handle.node
        self.connections.discard(connection)
        if node not in self.nodes and all(c.handle.node is not node for c in self.connections):
            self._close_fifo(node)
        self.update_fifo(node)

    def _close_fifo(self, node: Node) -> None:
        if gate := self._fifos.pop(node, None):
            gate.close()

    def update_fifo(self, node: Node) -> None:
        """The FIFO is writable while any client that polls it has something to reap."""
        gate = self._fifos.get(node)
        if gate is not None:
            gate.set(self.is_shared_node_ready(node))

    def is_shared_node_ready(self, node: Node) -> bool:
        """Whether any client that polls the FIFO has something to reap."""
        return any(c.shared and c.handle.ready for c in self.connections if c.handle.node is node)

    def _configured(self, node: Node) -> None:
        for tree in (self.tree, *self._views):
            tree.write_configuration(node)

    def _take_number(self) -> int:
        """The next free device number; like Linux it counts on and begins again behind 127 (1 is the hub)."""
        used = {node.number for node in self.nodes}
        number = self._next_number
        while number in used:
            number = _number_after(number)
        self._next_number = _number_after(number)
        return number

    def _listen(self, node: Node) -> Acceptor:
        path = self.tree.socket_path(node)
        path.parent.mkdir(exist_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(path))
        listener.listen(64)

        def accepted(sock: socket.socket, _address: object) -> None:
            if len(self.connections) >= MAX_CONNECTIONS:
                sock.close()
                return
            self.connections.add(Connection(self, sock, node))

        return Acceptor(self.loop, listener, accepted)

    def _subscribe(self, sock: socket.socket, _address: object) -> None:
        if len(self._subscribers) >= MAX_CONNECTIONS:
            sock.close()
            return
        sock.setblocking(False)
        self._subscribers.add(sock)

        def hang_up(_mask: int) -> None:
            self.loop.unwatch(sock)
            self._subscribers.discard(sock)
            sock.close()

        self.loop.watch(sock, READ, hang_up)

    def _broadcast(self, node: Node, action: str) -> None:
        properties = uevent(node, action)
        message = kernel_message(properties)
        for sock in self._subscribers:
            try:
                sock.send(message)
            except OSError:
                pass  # a client that does not listen any more; its hang-up follows
        message = udev_message(properties)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            for path in self.directory.glob("c*/event*"):
                try:
                    sender.sendto(message, str(path))
                except OSError:
                    pass


def _number_after(number: int) -> int:
    return number + 1 if number < 127 else 2
