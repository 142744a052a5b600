"""A libusb program that clears the halt of the stream endpoint of a USB3 Vision camera, as many do when they open
one."""

import usb1

with usb1.USBContext() as context:
    for device in context.getDeviceList(skip_on_error=True):
        for setting in device.iterSettings():
            if (setting.getClass(), setting.getSubClass(), setting.getProtocol()) == (0xEF, 5, 2):
                (endpoint,) = setting
                handle = device.open()
                with handle.claimInterface(setting.getNumber()):
                    handle.clearHalt(endpoint.getAddress())
                print("cleared", hex(endpoint.getAddress()))
