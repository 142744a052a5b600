"""A plain libusb program (python-libusb1) against the toy function; one check per name on the command line.

Where a check needs the cable pulled it prints "ready" and goes on when the test has done so.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import usb1

TOY = (0x1209, 0x0001)
CONTROL_OUT, CONTROL_IN, EVENT_IN, STREAM_IN = 0x01, 0x81, 0x82, 0x83
PATTERN = bytes(range(256)) * 4096


def opened(context: usb1.USBContext, *interfaces: int) -> usb1.USBDeviceHandle:
    wanted = int(os.environ.get("TOY_ADDRESS", "0"))
    handle = next(
        d.open()
        for d in context.getDeviceList()
        if (d.getVendorID(), d.getProductID()) == TOY and wanted in (0, d.getDeviceAddress())
    )
    for interface in interfaces:
        handle.claimInterface(interface)
    return handle


def enumerate_(context: usb1.USBContext) -> None:
    (device,) = [d for d in context.getDeviceList() if (d.getVendorID(), d.getProductID()) == TOY]
    assert (device.getBusNumber(), device.getDeviceAddress()) == (1, 2)
    assert device.getDeviceSpeed() == usb1.SPEED_SUPER
    assert device.getManufacturer() == "Toy"
    assert device.getSerialNumber() == "SER1"
    assert device.getMaxPacketSize(STREAM_IN) == 1024
    handle = device.open()
    assert handle.getConfiguration() == 1
    assert not handle.kernelDriverActive(0)


def sync(context: usb1.USBContext) -> None:
    handle = opened(context, 0, 1, 2)
    handle.setInterfaceAltSetting(0, 0)
    assert handle.bulkWrite(CONTROL_OUT, b"hello") == 5
    assert handle.bulkRead(CONTROL_IN, 100) == b"hello"
    assert handle.bulkRead(STREAM_IN, len(PATTERN)) == PATTERN
    assert len(handle.controlRead(0x80, 6, 0x0100, 0, 18)) == 18
    long = bytes(range(256)) * 1000
    assert handle.bulkWrite(CONTROL_OUT, long) == len(long)
    assert handle.bulkRead(CONTROL_IN, len(long)) == long
    handle.releaseInterface(0)
    handle.resetDevice()
    assert handle.bulkRead(STREAM_IN, 1024) == PATTERN[:1024]


def stall(context: usb1.USBContext) -> None:
    handle = opened(context, 0, 2)
    try:
        handle.controlRead(0xC0, 0x55, 0, 0, 4)
        raise AssertionError("an unknown request must stall")
    except usb1.USBErrorPipe:
        pass
    handle.controlWrite(0x02, 3, 0, STREAM_IN, b"")  # SET_FEATURE(ENDPOINT_HALT)
    for _ in range(2):
        try:
            handle.bulkRead(STREAM_IN, 64)
            raise AssertionError("a halted endpoint must stall")
        except usb1.USBErrorPipe:
            pass
    handle.clearHalt(STREAM_IN)
    assert handle.bulkRead(STREAM_IN, 1024) == PATTERN[:1024]


def timeout(context: usb1.USBContext) -> None:
    handle = opened(context, 1)
    began = time.monotonic()
    try:
        handle.bulkRead(EVENT_IN, 64, timeout=300)
        raise AssertionError("nothing can come here")
    except usb1.USBErrorTimeout:
        pass
    waited_s = time.monotonic() - began
    assert 0.29 <= waited_s < 2, waited_s


def cancel(context: usb1.USBContext) -> None:
    handle = opened(context, 1)
    transfer = handle.getTransfer()
    transfer.setBulk(EVENT_IN, 64)
    transfer.submit()
    transfer.cancel()
    while transfer.isSubmitted():
        context.handleEvents()
    assert transfer.getStatus() == usb1.TRANSFER_CANCELLED


def integrity(context: usb1.USBContext) -> None:
    """One thread writes and submits, one handles events; every byte is compared."""
    handle = opened(context, 0, 2)
    errors: list[str] = []
    left = threading.Semaphore(0)
    running = True
    sizes = [1024, 4096, 65536, 262144, 307200, 1 << 20]

    def check(transfer: usb1.USBTransfer) -> None:
        length = transfer.getActualLength()
        if transfer.getStatus() != usb1.TRANSFER_COMPLETED or length != transfer.getUserData():
            errors.append(f"status {transfer.getStatus()}, {length} bytes")
        elif transfer.getBuffer()[:length] != PATTERN[:length]:
            errors.append(f"{length} bytes differ")
        left.release()

    def events() -> None:
        while running:
            context.handleEventsTimeout(0.05)

    thread = threading.Thread(target=events)
    thread.start()
    for number in range(1500):
        length = sizes[number % len(sizes)]
        transfer = handle.getTransfer()
        transfer.setBulk(STREAM_IN, length, callback=check, user_data=length, timeout=5000)
        transfer.submit()
        text = f"message {number}".encode()
        assert handle.bulkWrite(CONTROL_OUT, text, 5000) == len(text)
        assert handle.bulkRead(CONTROL_IN, 64, 5000) == text
        if number >= 8:
            assert left.acquire(timeout=10)
    for _ in range(8):
        assert left.acquire(timeout=10)
    running = False
    thread.join()
    assert not errors, errors[:5]


def busy(context: usb1.USBContext) -> None:
    """Hold interface 2 until told; a second client must not get it."""
    handle = opened(context, 2)
    print("ready", flush=True)
    sys.stdin.readline()
    handle.close()


def second(context: usb1.USBContext) -> None:
    try:
        opened(context, 2)
        raise AssertionError("the interface is taken")
    except usb1.USBErrorBusy:
        pass


def reopen(context: usb1.USBContext) -> None:
    """Open, claim and close without release, again and again."""
    for _ in range(50):
        opened(context, 0, 2).close()


def stream_forever(context: usb1.USBContext) -> None:
    handle = opened(context, 2)

    def again(transfer: usb1.USBTransfer) -> None:
        transfer.submit()

    transfers = [handle.getTransfer() for _ in range(8)]
    for transfer in transfers:
        transfer.setBulk(STREAM_IN, 1 << 18, callback=again)
        transfer.submit()
    for _ in range(20):
        context.handleEvents()
    print("ready", flush=True)
    while True:
        context.handleEvents()


def unplug(context: usb1.USBContext) -> None:
    """A waiting request and later calls end with NO_DEVICE."""
    handle = opened(context, 1)
    transfer = handle.getTransfer()
    transfer.setBulk(EVENT_IN, 64)
    transfer.submit()
    print("ready", flush=True)
    while transfer.isSubmitted():
        context.handleEvents()
    assert transfer.getStatus() == usb1.TRANSFER_NO_DEVICE, transfer.getStatus()
    try:
        handle.bulkRead(STREAM_IN, 64, 1000)
        raise AssertionError("the device is gone")
    except usb1.USBErrorNoDevice:
        pass


def hotplug(context: usb1.USBContext) -> None:
    """LEFT, then ARRIVED at the next address, which opens."""
    seen: list[tuple[int, int]] = []

    def changed(_context: object, device: usb1.USBDevice, event: int) -> bool:
        seen.append((event, device.getDeviceAddress()))
        return False

    context.hotplugRegisterCallback(changed, vendor_id=TOY[0])
    assert seen == [(usb1.HOTPLUG_EVENT_DEVICE_ARRIVED, 2)], seen
    print("ready", flush=True)
    while len(seen) < 3:
        context.handleEvents()
    assert seen[1:] == [(usb1.HOTPLUG_EVENT_DEVICE_LEFT, 2), (usb1.HOTPLUG_EVENT_DEVICE_ARRIVED, 3)], seen
    assert opened(context, 2).bulkRead(STREAM_IN, 1024) == PATTERN[:1024]


def fork(context: usb1.USBContext) -> None:
    """A forked child may go away, or use the file, without harm to the parent."""
    handle = opened(context, 0, 2)
    for _ in range(5):
        subprocess.run(["true"], check=True)  # vfork and close in the child
        child = os.fork()
        if child == 0:
            os._exit(0 if handle.bulkRead(STREAM_IN, 1024) == PATTERN[:1024] else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert handle.bulkRead(STREAM_IN, 1024) == PATTERN[:1024]


CHECKS: dict[str, Callable[[usb1.USBContext], None]] = {
    check.__name__.strip("_"): check
    for check in (
        enumerate_, sync, stall, timeout, cancel, integrity, busy, second, reopen, stream_forever, unplug, hotplug,
        fork,
    )
}  # fmt: skip

if __name__ == "__main__":
    for name in sys.argv[1:]:
        with usb1.USBContext() as context:
            CHECKS[name](context)
    print("done", flush=True)
