"""Where a camera is, as a person says it: `usbip://HOST[:PORT][/BUSID]` or `usb:VID:PID[:SERIAL]`."""

from u3v.errors import Mistake
from u3v.host.bus import HostBus


def open_target(target: str) -> HostBus:
    """The camera at `usbip://HOST[:PORT][/BUSID]` or `usb:VID:PID[:SERIAL]` (hexadecimal ids).

    Raises Mistake for anything else, UsbGone where there is no such camera.
    """
    kind, _, rest = target.partition(":")
    if kind == "usbip" and rest.startswith("//"):
        return _open_usbip(target, rest[2:])
    if kind == "usb":
        return _open_usb(target, rest)
    raise Mistake(
        f"{target!r}: an address here is usbip://HOST:PORT/BUSID or usb:VID:PID (for u3v grab also gige://ADDRESS)"
    )


def is_address(target: str) -> bool:
    """Whether a target is meant for an address rather than the name of a camera model: `open_target` judges it."""
    return "://" in target or target.startswith(("usbip:", "usb:"))


def _open_usbip(target: str, rest: str) -> HostBus:
    from gadget.usbip import wire
    from gadget.usbip.client import UsbipClient

    place, _, busid = rest.partition("/")
    host, colon, port_text = place.rpartition(":")
    if place.endswith("]") or not colon:
        host, port_text = place, str(wire.PORT)
    if not port_text.isdecimal() or not 0 < int(port_text) < 65536:
        raise Mistake(f"{target!r}: {port_text!r} is no TCP port")
    return UsbipClient.connect(host.strip("[]") or "127.0.0.1", int(port_text), busid or "1-1")


def _open_usb(target: str, rest: str) -> HostBus:
    from gadget.tools.pyusb_bus import UsbBus

    vid, _, pid = rest.partition(":")
    pid, _, serial = pid.partition(":")
    try:
        numbers = int(vid, 16), int(pid, 16)
    except ValueError:
        raise Mistake(f"{target!r}: give two hexadecimal numbers, such as usb:2676:ba02") from None
    return UsbBus.open(*numbers, serial)
