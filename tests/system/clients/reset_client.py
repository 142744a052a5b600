"""An Aravis program that resets its camera, loses it, waits until it is listed again, opens it and grabs.

It knows nothing of the virtual camera. What it shows: that a program which is running hears of cameras that
go and come, as it does where udevd tells libusb of them. Prints one JSON object.
"""

import json
import sys
import time

import gi

gi.require_version("Aravis", "0.8")
from gi.repository import Aravis, GLib  # noqa: E402

COUNT = 3
ATTEMPTS = 10
PATIENCE_S = 60
LOOK_EVERY_S = 0.01
TIMEOUT_US = 20_000_000


def grab(camera: "Aravis.Camera") -> list[int]:
    """Ids of the first good frames."""
    camera.set_region(0, 0, 640, 480)
    stream = camera.create_stream(None, None)
    for _ in range(COUNT):
        stream.push_buffer(Aravis.Buffer.new_allocate(camera.get_payload()))
    camera.start_acquisition()
    buffers = [stream.timeout_pop_buffer(TIMEOUT_US) for _ in range(COUNT)]
    camera.stop_acquisition()
    return [b.get_frame_id() for b in buffers if b and b.get_status() == Aravis.BufferStatus.SUCCESS]


def lose(camera: "Aravis.Camera") -> float:
    """Reset the camera and read until it does not answer; the seconds that took."""
    began_s = time.monotonic()
    camera.execute_command("DeviceReset")
    while time.monotonic() - began_s < PATIENCE_S:
        try:
            camera.get_integer("Width")
        except GLib.Error:
            return time.monotonic() - began_s
        time.sleep(LOOK_EVERY_S)
    sys.exit(f"the camera still answers {PATIENCE_S} s after DeviceReset")


def find(serial: str) -> "tuple[Aravis.Camera, float]":
    """The camera, as soon as it is listed and opens; the seconds that took."""
    began_s = time.monotonic()
    while time.monotonic() - began_s < PATIENCE_S:
        Aravis.update_device_list()
        if serial in [Aravis.get_device_serial_nbr(index) for index in range(Aravis.get_n_devices())]:
            try:
                return Aravis.Camera.new(None), time.monotonic() - began_s
            except GLib.Error:  # listed, as it was before it left
                pass
        time.sleep(LOOK_EVERY_S)
    sys.exit(f"no camera {serial} is listed {PATIENCE_S} s after it left; does udevd run?")


def opened() -> "Aravis.Camera":
    """Aravis 0.8.26 gives a camera 32 ms for its first answers: on a busy machine that can be too short."""
    for _ in range(ATTEMPTS):
        try:
            return Aravis.Camera.new(None)
        except GLib.Error as error:
            print(error.message, file=sys.stderr)
    return Aravis.Camera.new(None)


def main() -> None:
    Aravis.disable_interface("GigEVision")  # whose cameras are waited for, each time
    camera = opened()
    serial, before = camera.get_string("DeviceSerialNumber"), grab(camera)
    lost_s = lose(camera)
    del camera
    again, found_s = find(serial)
    print(json.dumps({"before": before, "lost_s": lost_s, "found_s": found_s, "after": grab(again)}))


main()
