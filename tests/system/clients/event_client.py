"""A libusb program (python-libusb1) that reads the camera's events; prints one JSON object an event.

It speaks GenCP by itself and takes endpoints from the descriptors and addresses from the camera's own XML: it shares
nothing with the virtual camera.
"""

import io
import json
import struct
import xml.etree.ElementTree as ElementTree
import zipfile

import usb1

VENDOR, PRODUCT = 0x2676, 0xBA02
USB3_VISION = (0xEF, 5)
CONTROL, EVENTS = 0, 1
"""Protocols of the interfaces."""
MAGIC = 0x43563355
READMEM, WRITEMEM = 0x0800, 0x0802
MANIFEST_ADDRESS, SBRM_ADDRESS, EIRM_ADDRESS = 0x1D0, 0x1D8, 0x2C
FRAMES = 3


class Camera:
    def __init__(self, handle: usb1.USBDeviceHandle) -> None:
        self._handle = handle
        endpoints = {}
        for setting in handle.getDevice().iterSettings():
            if (setting.getClass(), setting.getSubClass()) == USB3_VISION:
                handle.claimInterface(setting.getNumber())
                endpoints[setting.getProtocol()] = sorted(each.getAddress() for each in setting)
        self._out, self._in = endpoints[CONTROL]
        (self.events,) = endpoints[EVENTS]
        self._request_id = 0
        self._nodes: dict[str, ElementTree.Element] = {}

    def command(self, code: int, payload: bytes) -> bytes:
        self._request_id += 1
        head = struct.pack("<IHHHH", MAGIC, 0x4000, code, len(payload), self._request_id)
        self._handle.bulkWrite(self._out, head + payload, 2000)
        while True:
            ack = self._handle.bulkRead(self._in, 1024, 5000)
            magic, status, answered, length, request_id = struct.unpack_from("<IHHHH", ack)
            assert (magic, request_id) == (MAGIC, self._request_id)
            if answered != 0x0805:  # PENDING_ACK: the answer is still to come
                assert (status, answered) == (0, code + 1), hex(status)
                return ack[12 : 12 + length]

    def read(self, address: int, length: int) -> bytes:
        data = b""
        while len(data) < length:
            size = min(256, length - len(data))  # a gadget acknowledges with 508 bytes at most
            data += self.command(READMEM, struct.pack("<QHH", address + len(data), 0, size))
        return data

    def read_u64(self, address: int) -> int:
        return int.from_bytes(self.read(address, 8), "little")

    def write_u32(self, address: int, value: int) -> None:
        self.command(WRITEMEM, struct.pack("<QI", address, value))

    def load_xml(self) -> None:
        entry = self.read(self.read_u64(MANIFEST_ADDRESS) + 8, 64)
        address, size = struct.unpack_from("<QQ", entry, 8)
        archive = zipfile.ZipFile(io.BytesIO(self.read(address, size)))
        for node in ElementTree.fromstring(archive.read(archive.namelist()[0])).iter():
            if "Name" in node.attrib:
                self._nodes[node.attrib["Name"]] = node

    def set(self, name: str, value: int | str) -> None:
        """Write a feature's register; an enumeration by its entry's name."""
        feature = self._nodes[name]
        if isinstance(value, str):
            entry = next(e for e in feature if e.attrib.get("Name") == value)
            value = int(self._text(entry, "Value"), 0)
        register = self._nodes[self._text(feature, "pValue")]
        addresses = [n for n in register if n.tag.endswith("}Address")]
        self.write_u32(sum(int(n.text or "", 0) for n in addresses) + self._indexed(register), value)

    def _indexed(self, register: ElementTree.Element) -> int:
        """What <pIndex Offset="n"> adds: the selecting register's value times n."""
        offset = 0
        for node in register:
            if node.tag.endswith("}pIndex"):
                selector = self._nodes[node.text or ""]
                if selector.tag.endswith("}Enumeration"):
                    selector = self._nodes[self._text(selector, "pValue")]
                address = int(self._text(selector, "Address"), 0)
                offset += int.from_bytes(self.read(address, 4), "little") * int(node.attrib["Offset"], 0)
        return offset

    def event_name(self, event_id: int) -> str:
        """What the XML calls it: the port EventNamePort has its id."""
        for name, node in self._nodes.items():
            for child in node:
                if child.tag.endswith("}EventID") and int(child.text or "", 16) == event_id:
                    return name.removeprefix("Event").removesuffix("Port")
        return f"unknown {event_id:#06x}"

    @staticmethod
    def _text(node: ElementTree.Element, tag: str) -> str:
        return next(n.text or "" for n in node if n.tag.endswith("}" + tag))


def main() -> None:
    with usb1.USBContext() as context:
        handle = context.openByVendorIDAndProductID(VENDOR, PRODUCT)
        camera = Camera(handle)
        camera.load_xml()
        eirm = camera.read_u64(camera.read_u64(SBRM_ADDRESS) + EIRM_ADDRESS)
        camera.write_u32(eirm, 1)
        for name in ("FrameStart", "ExposureEnd", "Test"):
            camera.set("EventSelector", name)
            camera.set("EventNotification", "On")
        camera.set("TestEventGenerate", 1)
        camera.set("AcquisitionMode", "MultiFrame")
        camera.set("AcquisitionFrameCount", FRAMES)
        camera.set("AcquisitionStart", 1)
        for _ in range(1 + 2 * FRAMES):
            packet = handle.bulkRead(camera.events, 1024, 10_000)
            magic, _flags, code, length, request_id = struct.unpack_from("<IHHHH", packet)
            reserved, event_id, timestamp = struct.unpack_from("<HHQ", packet, 12)
            print(
                json.dumps(
                    {
                        "magic": hex(magic),
                        "command": hex(code),
                        "request_id": request_id,
                        "event": camera.event_name(event_id),
                        "reserved": reserved,
                        "timestamp": timestamp,
                        "length": length == len(packet) - 12,
                        "data": packet[24:].hex(),
                    }
                )
            )


if __name__ == "__main__":
    main()
