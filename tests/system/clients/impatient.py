"""A libusb program that asks for strings of a USB3 Vision camera, gives up soon, and asks for the next one; prints how
often it gave up. Its argument is how many bytes it asks for."""

import sys

import usb1

TIMES = 4
PATIENCE_MS = 200
GET_DESCRIPTOR, STRING, ENGLISH = 6, 3, 0x409

with usb1.USBContext() as context:
    for device in context.getDeviceList(skip_on_error=True):
        if device.getVendorID() != 0x2676:
            continue
        handle, waited = device.open(), 0
        for index in range(1, TIMES + 1):
            try:
                handle.controlRead(
                    0x80, GET_DESCRIPTOR, STRING << 8 | index, ENGLISH, int(sys.argv[1]), PATIENCE_MS
                )
            except usb1.USBErrorTimeout:
                waited += 1
            except usb1.USBErrorPipe:  # refused, which is an answer
                pass
        print(waited)
