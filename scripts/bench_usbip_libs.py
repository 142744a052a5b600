#!/usr/bin/env python3
"""Bulk IN throughput of our USB/IP server against the device side of PyPI `usbip`, same client, same run.

Each server is a process of its own and streams one block again and again over TCP on this machine; the client
keeps several reads in flight. The rounds alternate between the servers, the median counts. PyPI usbip runs
twice: as documented (`push`: a thread writes whenever the host waits) and with its endpoint's queue replaced
(`pull`: the block is at hand when a request comes), which is as fast as it can be.
"""

import argparse
import json
import statistics
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from gadget.usbip.client import UsbipClient
from u3v.host import bus

SERVERS = ("ours", "pypi-push", "pypi-pull")
CONTROL_OUT, CONTROL_IN, STREAM_IN = 0x01, 0x81, 0x83
COMMAND, ACKNOWLEDGE_BYTES = bytes(24), 1024


def serve_ours(block: bytes) -> None:
    from gadget.time.loop import Loop
    from gadget.usb.device import UsbDevice
    from gadget.usbip.server import UsbipServer
    from gadget.usbip.session import export
    from tests.gadget.toy import Toy

    loop = Loop()
    server = UsbipServer(loop, export(UsbDevice(Toy(block), paced=False)), port=0)
    print(server.port, flush=True)
    loop.run()


def serve_pypi(block: bytes, push: bool) -> None:
    import usbip
    from usbip.transport import USBIP

    device = usbip.USBDevice(0x1209, 0x0001)
    device.set_speed(usbip.SPEED_SUPER)
    interface = usbip.Interface()
    out = interface._add_endpoint(usbip.Out(CONTROL_OUT, mps=1024))
    into = interface._add_endpoint(usbip.In(CONTROL_IN, mps=1024))
    stream = interface._add_endpoint(usbip.In(STREAM_IN, mps=1024))
    device.add(interface)
    out.on_out = lambda _endpoint, data: into.write(data)
    frame = memoryview(bytearray(block))  # a camera's frame memory is written to again and again
    if push:

        def produce() -> None:
            while True:
                if stream._pending:
                    stream.write(frame)
                else:
                    time.sleep(0)

        threading.Thread(target=produce, daemon=True).start()
    else:
        stream.take_or_park = lambda length, _complete, _seqnum=None: frame
    transport = USBIP("127.0.0.1", 0)
    device.plug(transport)
    print(transport._listener.socks[0].getsockname()[1], flush=True)
    threading.Event().wait()


def measure(port: int, size: int, depth: int, seconds: float) -> tuple[float, float]:
    """(MB/s, median command round trip in us) of one connection."""
    with UsbipClient.connect(port=port) as usb:
        bus.set_configuration(usb, 1)
        acknowledge = bytearray(ACKNOWLEDGE_BYTES)
        trips = []
        for _ in range(300):
            began = time.perf_counter()
            usb.bulk_out(CONTROL_OUT, COMMAND)
            usb.bulk_in_into(CONTROL_IN, acknowledge)
            trips.append(time.perf_counter() - began)
        queue = deque((usb.submit_in(STREAM_IN, buffer), buffer) for buffer in _buffers(size, depth))
        received = 0
        began = time.perf_counter()
        while (lasted := time.perf_counter() - began) < seconds:
            handle, buffer = queue.popleft()
            received += usb.wait_in(handle, 5000)
            queue.append((usb.submit_in(STREAM_IN, buffer), buffer))
        for handle, _ in queue:
            usb.wait_in(handle, 5000)
    return received / lasted / 1e6, statistics.median(trips) * 1e6


def _buffers(size: int, depth: int) -> list[bytearray]:
    return [bytearray(size) for _ in range(depth)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=1 << 20, help="bytes per request (default: 1 MiB)")
    parser.add_argument("--depth", type=int, default=4, help="requests in flight (default: 4)")
    parser.add_argument("--seconds", type=float, default=1.0, help="per round (default: 1)")
    parser.add_argument("--rounds", type=int, default=3, help="of each server, alternating (default: 3)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--serve", choices=SERVERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    block = bytes(range(256)) * (options.size // 256)
    if options.serve == "ours":
        serve_ours(block)
    elif options.serve:
        serve_pypi(block, options.serve == "pypi-push")
    if options.serve:
        return
    rates: dict[str, list[float]] = {name: [] for name in SERVERS}
    trips: dict[str, list[float]] = {name: [] for name in SERVERS}
    for _ in range(options.rounds):
        for name in SERVERS:
            command = [sys.executable, __file__, "--serve", name, "--size", str(options.size)]
            with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
                assert server.stdout is not None
                try:
                    port = int(server.stdout.readline())
                    rate, trip = measure(port, options.size, options.depth, options.seconds)
                finally:
                    server.kill()
            rates[name].append(rate)
            trips[name].append(trip)
    found = {
        "request_bytes": options.size,
        "in_flight": options.depth,
        "mb_per_s": {name: round(statistics.median(rates[name])) for name in SERVERS},
        "round_trip_us": {name: round(statistics.median(trips[name]), 1) for name in SERVERS},
    }
    ours = statistics.median(rates["ours"])
    found["ratio"] = {name: round(ours / statistics.median(rates[name]), 2) for name in SERVERS[1:]}
    if options.json:
        print(json.dumps(found))
        return
    for name in SERVERS:
        rate, trip = statistics.median(rates[name]), statistics.median(trips[name])
        print(f"{name:10} {rate:6.0f} MB/s   24 B out + in: {trip:6.1f} us   ours is {ours / rate:.2f} times")


if __name__ == "__main__":
    main()
