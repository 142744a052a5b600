"""The directory a client sees as /sys, /dev and /run: files as Linux writes them, and hotplug messages.

Only what describes a USB device is there. One device occupies the sysfs directory SYSFS_PARENT/1-<port>, the
node dev/bus/usb/BBB/DDD (a FIFO, so that polling it can wait) and the socket path ioctl/dev/bus/usb/BBB/DDD
(made by the server). Attribute formats are those of Linux drivers/usb/core/sysfs.c.
"""

import os
import shutil
import struct
from pathlib import Path

from gadget.local.node import Node
from gadget.usb.descriptors import interfaces
from u3v.wire.usb import Speed

SYSFS_PARENT = "devices/platform/u3v.0/usb1"
_USB_MAJOR = 189
_SPEED_MBIT = {Speed.HIGH: "480", Speed.SUPER: "5000"}


class Tree:
    """Writes the tree below `directory`, a private directory that exists.

    A tree with a `parent` has its own sys only and shares the rest. (umockdev's hotplug sockets live in the
    client's directory under names that two clients would share, and libudev wants sys to be no link.)
    """

    def __init__(self, directory: Path, parent: "Tree | None" = None) -> None:
        self.directory = directory
        self._shares = parent is not None
        for path in (
            "sys/bus/usb/devices",
            "sys/bus/usb/drivers/usb",
            "sys/class",
            "sys/dev/char",
            f"sys/{SYSFS_PARENT}",
        ):
            (directory / path).mkdir(parents=True)
        for path in ("dev/.node", "dev/bus/usb", "ioctl/dev/bus/usb", "run/udev/data"):
            if parent is None:
                (directory / path).mkdir(parents=True)
            elif not (link := directory / path.split("/")[0]).is_symlink():
                link.symlink_to(parent.directory / link.name)

    def node_path(self, node: Node) -> Path:
        """The FIFO."""
        return self.directory / f"dev/bus/usb/{node.bus:03}/{node.number:03}"

    def socket_path(self, node: Node) -> Path:
        return self.directory / f"ioctl/dev/bus/usb/{node.bus:03}/{node.number:03}"

    def add(self, node: Node) -> None:
        """Everything but the socket. The link in bus/usb/devices comes last: who sees it sees all."""
        name, major_minor = _name(node), f"{_USB_MAJOR}:{_minor(node)}"
        if not self._shares:
            self.node_path(node).parent.mkdir(exist_ok=True)
            os.mkfifo(self.node_path(node), 0o600)
            self._node_link(node).symlink_to(major_minor)
        sysfs = self._sysfs(node)
        _write(sysfs, _device_attributes(node))
        self.write_configuration(node)
        (sysfs / "subsystem").symlink_to("../../../../../bus/usb")
        (sysfs / "driver").symlink_to("../../../../../bus/usb/drivers/usb")
        links = [name]
        for suffix, attributes in _interfaces(node):
            interface = sysfs / f"{name}{suffix}"
            _write(interface, attributes)
            (interface / "subsystem").symlink_to("../../../../../../bus/usb")
            links.append(f"{name}/{name}{suffix}")
        (self.directory / f"sys/dev/char/{major_minor}").symlink_to(f"../../{SYSFS_PARENT}/{name}")
        for link in reversed(links):
            self._bus_link(link).symlink_to(f"../../../{SYSFS_PARENT}/{link}")

    def write_configuration(self, node: Node) -> None:
        """What changes with SET_CONFIGURATION, and the descriptors, which a reset may have changed."""
        configuration = node.device.descriptors.configuration
        on = node.device.configuration
        power_ma = configuration[8] * node.device.speed.power_unit_ma
        values = {
            "bConfigurationValue": f"{on}",
            "bNumInterfaces": f"{configuration[4]:2}",
            "bmAttributes": f"{configuration[7]:2x}",
            "bMaxPower": f"{power_ma}mA",
            "configuration": None,
        }
        _write(self._sysfs(node), {name: value if on else None for name, value in values.items()})
        (self._sysfs(node) / "descriptors").write_bytes(node.descriptors)

    def remove(self, node: Node) -> None:
        """Undo `add`; the link in bus/usb/devices goes first."""
        name = _name(node)
        for suffix in ("", *(suffix for suffix, _ in _interfaces(node))):
            self._bus_link(f"{name}{suffix}").unlink(missing_ok=True)
        (self.directory / f"sys/dev/char/{_USB_MAJOR}:{_minor(node)}").unlink(missing_ok=True)
        if not self._shares:
            for path in (self._node_link(node), self.node_path(node), self.socket_path(node)):
                path.unlink(missing_ok=True)
        shutil.rmtree(self._sysfs(node), ignore_errors=True)

    def _sysfs(self, node: Node) -> Path:
        return self.directory / "sys" / SYSFS_PARENT / _name(node)

    def _node_link(self, node: Node) -> Path:
        """Tells umockdev which device number the FIFO stands for."""
        return self.directory / f"dev/.node/bus_usb_{node.bus:03}_{node.number:03}"

    def _bus_link(self, link: str) -> Path:
        return self.directory / "sys/bus/usb/devices" / link.rsplit("/", 1)[-1]


def uevent(node: Node, action: str) -> dict[str, str]:
    """The properties of a hotplug message; `action` is "add" or "remove"."""
    return {
        "ACTION": action,
        "DEVPATH": f"/{SYSFS_PARENT}/{_name(node)}",
        "SUBSYSTEM": "usb",
        **_uevent_file(node),
        "SEQNUM": f"{1000 + 2 * node.number + (action == 'remove')}",
    }


def kernel_message(properties: dict[str, str]) -> bytes:
    """As the kernel broadcasts it: a header line, then KEY=value, each ended by NUL."""
    head = f"{properties['ACTION']}@{properties['DEVPATH']}"
    return b"".join(line.encode() + b"\0" for line in (head, *_lines(properties)))


def udev_message(properties: dict[str, str]) -> bytes:
    """As udevd broadcasts it to libudev: a 40-byte header with hashes of what filters compare."""
    body = b"".join(line.encode() + b"\0" for line in _lines(properties))
    hashes = (_murmur2(properties["SUBSYSTEM"].encode()), _murmur2(properties["DEVTYPE"].encode()))
    head = b"libudev\0" + struct.pack(">I", 0xFEEDCAFE) + struct.pack("@III", 40, 40, len(body))
    return head + struct.pack(">IIII", *hashes, 0, 0) + body


def _lines(properties: dict[str, str]) -> list[str]:
    return [f"{key}={value}" for key, value in properties.items()]


def _name(node: Node) -> str:
    return f"{node.bus}-{node.port}"


def _minor(node: Node) -> int:
    return (node.bus - 1) * 128 + node.number - 1


def _write(directory: Path, attributes: dict[str, str | None]) -> None:
    """One file per attribute, replaced at once; None: an empty file."""
    directory.mkdir(exist_ok=True)
    for name, value in attributes.items():
        fresh = directory / f".{name}"
        fresh.write_text("" if value is None else f"{value}\n")
        fresh.rename(directory / name)


def _uevent_file(node: Node) -> dict[str, str]:
    device = node.device.descriptors.device
    vendor, product, bcd_device = struct.unpack_from("<HHH", device, 8)
    return {
        "MAJOR": f"{_USB_MAJOR}",
        "MINOR": f"{_minor(node)}",
        "DEVNAME": f"bus/usb/{node.bus:03}/{node.number:03}",
        "DEVTYPE": "usb_device",
        "DRIVER": "usb",
        "PRODUCT": f"{vendor:x}/{product:x}/{bcd_device:x}",
        "TYPE": f"{device[4]}/{device[5]}/{device[6]}",
        "BUSNUM": f"{node.bus:03}",
        "DEVNUM": f"{node.number:03}",
    }


def _device_attributes(node: Node) -> dict[str, str | None]:
    device = node.device.descriptors.device
    bcd_usb = struct.unpack_from("<H", device, 2)[0]
    vendor, product, bcd_device = struct.unpack_from("<HHH", device, 8)
    strings = {
        name: node.device.descriptors.strings.get(device[at])
        for name, at in (("manufacturer", 14), ("product", 15), ("serial", 16))
    }
    return {
        "uevent": "\n".join(_lines(_uevent_file(node))),
        "dev": f"{_USB_MAJOR}:{_minor(node)}",
        "busnum": f"{node.bus}",
        "devnum": f"{node.number}",
        "devpath": f"{node.port}",
        "speed": _SPEED_MBIT[node.device.speed],
        "rx_lanes": "1",
        "tx_lanes": "1",
        "version": f"{bcd_usb >> 8:2x}.{bcd_usb & 0xFF:02x}",
        "bDeviceClass": f"{device[4]:02x}",
        "bDeviceSubClass": f"{device[5]:02x}",
        "bDeviceProtocol": f"{device[6]:02x}",
        "bMaxPacketSize0": f"{device[7]}",
        "idVendor": f"{vendor:04x}",
        "idProduct": f"{product:04x}",
        "bcdDevice": f"{bcd_device:04x}",
        "bNumConfigurations": f"{device[17]}",
        "maxchild": "0",
        "urbnum": "0",
        "quirks": "0x0",
        "avoid_reset_quirk": "0",
        "authorized": "1",
        "ltm_capable": "no",
        "removable": "removable",
        **{name: text for name, text in strings.items() if text},
    }


def _interfaces(node: Node) -> list[tuple[str, dict[str, str | None]]]:
    """(":1.N", attributes) of each interface."""
    device = node.device.descriptors.device
    configuration = node.device.descriptors.configuration
    vendor, product, bcd_device = struct.unpack_from("<HHH", device, 8)
    found: list[tuple[str, dict[str, str | None]]] = []
    for number, alternate, kind, endpoints in interfaces(configuration):
        modalias = (
            f"usb:v{vendor:04X}p{product:04X}d{bcd_device:04X}dc{device[4]:02X}dsc{device[5]:02X}"
            f"dp{device[6]:02X}ic{kind[0]:02X}isc{kind[1]:02X}ip{kind[2]:02X}in{number:02X}"
        )
        events = {
            "DEVTYPE": "usb_interface",
            "PRODUCT": f"{vendor:x}/{product:x}/{bcd_device:x}",
            "TYPE": f"{device[4]}/{device[5]}/{device[6]}",
            "INTERFACE": "/".join(f"{value}" for value in kind),
            "MODALIAS": modalias,
        }
        attributes: dict[str, str | None] = {
            "uevent": "\n".join(_lines(events)),
            "bInterfaceNumber": f"{number:02x}",
            "bAlternateSetting": f"{alternate:2}",
            "bNumEndpoints": f"{len(endpoints):02x}",
            "bInterfaceClass": f"{kind[0]:02x}",
            "bInterfaceSubClass": f"{kind[1]:02x}",
            "bInterfaceProtocol": f"{kind[2]:02x}",
            "modalias": modalias,
            "supports_autosuspend": "1",
            "authorized": "1",
        }
        found.append((f":{configuration[5]}.{number}", attributes))
    return found


def _murmur2(data: bytes) -> int:
    """MurmurHash2 with seed 0, what libudev's socket filter compares."""
    multiplier, mask = 0x5BD1E995, 0xFFFFFFFF
    value = len(data)
    whole = len(data) & ~3
    for (word,) in struct.iter_unpack("<I", data[:whole]):
        mixed = word * multiplier & mask
        mixed = (mixed ^ mixed >> 24) * multiplier & mask
        value = (value * multiplier & mask) ^ mixed
    if rest := data[whole:]:
        value = (value ^ int.from_bytes(rest, "little")) * multiplier & mask
    value = (value ^ value >> 13) * multiplier & mask
    return value ^ value >> 15
