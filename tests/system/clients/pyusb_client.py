"""A pyusb program over the system's libusb: strings, configuration, a register, a stall, a time-out; prints JSON."""

import json
import struct

import usb.core
import usb.util
from usb.backend import libusb1

CONTROL_OUT, CONTROL_IN, EVENT_IN = 0x01, 0x81, 0x82
MODEL_NAME, MODEL_NAME_BYTES = 0x44, 64


def main() -> None:
    device = usb.core.find(idVendor=0x2676, idProduct=0xBA02, backend=libusb1.get_backend())
    device.set_configuration()
    interfaces = [interface.bInterfaceProtocol for interface in device.get_active_configuration()]
    command = struct.pack("<IHHHHQHH", 0x43563355, 0x4000, 0x0800, 12, 7, MODEL_NAME, 0, MODEL_NAME_BYTES)
    device.write(CONTROL_OUT, command)
    ack = bytes(device.read(CONTROL_IN, 1024))
    try:
        device.ctrl_transfer(0xC0, 0x55, 0, 0, 4)
        vendor_request = "answered"
    except usb.core.USBError as error:
        vendor_request = error.strerror
    try:
        device.read(EVENT_IN, 1024, timeout=100)
        silence = "data"
    except usb.core.USBTimeoutError:
        silence = "timeout"
    said = {
        "manufacturer": device.manufacturer,
        "product": device.product,
        "serial": device.serial_number,
        "speed": device.speed,
        "interfaces": interfaces,
        "ack": struct.unpack_from("<IHHHH", ack),
        "model": ack[12:].rstrip(b"\0").decode(),
        "vendor_request": vendor_request,
        "silence": silence,
    }
    usb.util.dispose_resources(device)
    print(json.dumps(said))


if __name__ == "__main__":
    main()
