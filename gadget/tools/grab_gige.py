"""Taking frames from a GigE Vision camera at an address, with the host of our own."""

import contextlib
from collections.abc import Callable

from gadget.gige.host import ControlLink, StreamSocket
from gadget.tools.frame_reader import Identity
from gadget.tools.grab import Grab, GrabOptions, GrabResult, Progress
from u3v.errors import Mistake
from u3v.host.gige.client import GvcpClient
from u3v.host.gige.stream import GigeStream
from u3v.host.nodes import DeviceNodes

SCHEME = "gige:"


def grab_gige(
    target: str,
    options: GrabOptions,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    say: Callable[[str], None] = lambda line: None,
) -> GrabResult:
    """As `gadget.tools.grab.grab`, from `gige://ADDRESS`."""
    if options.output is not None:
        options.output.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        link = stack.enter_context(contextlib.closing(ControlLink(_address(target))))
        packets = stack.enter_context(contextlib.closing(StreamSocket(link.own_ip)))
        client = stack.enter_context(contextlib.closing(GvcpClient(link)))
        client.open()
        nodes = DeviceNodes(client)
        for name, value in options.settings.items():
            nodes.set(name, value)
        reader = GigeStream(client, packets, int(nodes.get("PayloadSize")))
        identity = Identity(client.manufacturer_name, client.model_name, client.serial_number)
        return Grab(client, identity, nodes, reader, options, on_progress, say=say).run()


def _address(target: str) -> str:
    ip = target.removeprefix(SCHEME).strip("/")
    if not ip:
        raise Mistake(f"{target!r} says no address: such as gige://127.0.0.1 (u3v find lists cameras)")
    return ip
