"""Runs as root in scripts/uml: what FunctionFS carries on dummy_hcd, by Linux AIO and by plain write().

A child is the device and writes the same buffer again and again; this process is the host and reads it with libusb,
four requests of 1 MiB in flight. One JSON object for each way and size: MB/s, and milliseconds of the device's
processor for each MB.
"""

import json
import os
import resource
import sys
import time
from multiprocessing import Pipe, Process
from multiprocessing.connection import Connection
from pathlib import Path

import usb1

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from gadget import configfs
from gadget.functionfs.descriptors import Event, endpoint_order, events, function_blob, strings_blob
from gadget.functionfs.transport import make_ready
from gadget.udc import mounts
from gadget.udc.aio import Aio
from u3v.wire.usb import STREAM_IN, Identity, Speed, build_descriptors

SIZES = (16 << 10, 64 << 10, 256 << 10, 1 << 20)
DEPTH = 8
REQUEST_BYTES = 1 << 20
IDENTITY = Identity(
    vid=0x1209, pid=1, bcd_device=1, vendor="Bench", model="Bench", family="", device_version="", manufacturer_info="",
    serial="1", guid="120900000001", user_defined_name="", max_power_ma=100, max_power_high_speed_ma=100,
)  # fmt: skip


def device(pipe: Connection) -> None:
    """Be there; then for each (way, size, total) write that much."""
    high, super_ = (build_descriptors(IDENTITY, speed) for speed in (Speed.HIGH, Speed.SUPER))
    make_ready()
    gadget = configfs.Gadget("bench")
    gadget.make({"idVendor": "0x1209", "idProduct": "1"}, ("Bench", "Bench", "1"), 100)
    point = Path("/run/bench")
    point.mkdir()
    mounts.mount("functionfs", "bench", point)
    ep0 = os.open(point / "ep0", os.O_RDWR)
    os.write(ep0, function_blob(high, super_))
    os.write(ep0, strings_blob(super_.strings))
    number = endpoint_order(super_.configuration).index(STREAM_IN) + 1
    stream = os.open(point / f"ep{number}", os.O_RDWR)
    gadget.bind("dummy_udc.0")
    while Event.ENABLE not in [told.kind for told in events(os.read(ep0, 96))]:
        pass
    pipe.send("ready")
    while (job := pipe.recv()) is not None:
        way, size, total = job
        data = memoryview(bytes(size))
        before_s = cpu_s()
        if way == "write":
            for _ in range(total // size):
                os.write(stream, data)
        else:
            aio = Aio(DEPTH)
            left = total // size
            while left or aio.in_flight:
                while left and aio.in_flight < DEPTH:
                    aio.write(stream, [data], object())
                    left -= 1
                aio.ended(10.0)
            aio.close()
        pipe.send(cpu_s() - before_s)


def cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def read(context: usb1.USBContext, handle: usb1.USBDeviceHandle, endpoint: int, total: int) -> float:
    """Read so many bytes; the seconds that took."""
    asked = got = 0

    def done(transfer: usb1.USBTransfer) -> None:
        nonlocal asked, got
        got += transfer.getActualLength()
        if asked < total:
            asked += REQUEST_BYTES
            transfer.submit()

    began_s = time.perf_counter()
    transfers = [handle.getTransfer() for _ in range(4)]
    for transfer in transfers:
        transfer.setBulk(endpoint, REQUEST_BYTES, callback=done)
        asked += REQUEST_BYTES
        transfer.submit()
    while got < total:
        context.handleEvents()
    return time.perf_counter() - began_s


def main() -> None:
    total = int(sys.argv[1]) << 20
    ours, theirs = Pipe()
    child = Process(target=device, args=(theirs,))
    child.start()
    ours.recv()
    with usb1.USBContext() as context:
        handle = None
        while handle is None:
            handle = context.openByVendorIDAndProductID(0x1209, 1)
        setting = next(s for s in handle.getDevice().iterSettings() if s.getProtocol() == 2)
        handle.claimInterface(setting.getNumber())
        (endpoint,) = setting
        for size in SIZES:
            for way in ("write", "aio"):
                ours.send((way, size, total))
                seconds = read(context, handle, endpoint.getAddress(), total)
                cpu_ms = ours.recv() * 1e3 / (total / 1e6)
                print(
                    json.dumps(
                        {"way": way, "size": size, "mb_per_s": total / 1e6 / seconds, "cpu_ms": cpu_ms}
                    ),
                    flush=True,
                )
    ours.send(None)
    child.join()


if __name__ == "__main__":
    main()
