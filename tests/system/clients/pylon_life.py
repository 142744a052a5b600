"""A pypylon program about a camera's coming and going: opened and closed again and again, then unplugged in a grab.

`pylon_life.py CYCLES` prints one JSON object. The cable is pulled through the camera's control socket.
"""

import json
import sys
import threading
import time

from pypylon import genicam, pylon

import gadget

PATIENCE_S = 60.0


class Removal(pylon.ConfigurationEventHandler):
    """pylon's own word that a camera is gone."""

    def __init__(self) -> None:
        super().__init__()
        self.at_s = 0.0
        self.came = threading.Event()

    def OnCameraDeviceRemoved(self, camera: pylon.InstantCamera) -> None:
        self.at_s = time.monotonic()
        self.came.set()


def grabbed(camera: pylon.InstantCamera, count: int) -> int:
    """So many frames; how many of them pylon calls whole."""
    whole = 0
    camera.StartGrabbingMax(count)
    while camera.IsGrabbing():
        result = camera.RetrieveResult(60_000, pylon.TimeoutHandling_ThrowException)
        whole += result.GrabSucceeded()
        result.Release()
    return whole


def cycle(factory: pylon.TlFactory) -> int:
    camera = pylon.InstantCamera(factory.CreateFirstDevice())
    camera.Open()
    camera.Width.Value, camera.Height.Value = 640, 480
    whole = grabbed(camera, 3)
    camera.Close()
    camera.DetachDevice()
    return whole


def unplugged(factory: pylon.TlFactory) -> dict[str, object]:
    """The cable is pulled while frames come."""
    camera = pylon.InstantCamera(factory.CreateFirstDevice())
    removal = Removal()
    camera.RegisterConfiguration(removal, pylon.RegistrationMode_Append, pylon.Cleanup_None)
    camera.Open()
    camera.Width.Value, camera.Height.Value = 640, 480
    camera.StartGrabbing(pylon.GrabStrategy_OneByOne)
    for _ in range(10):
        camera.RetrieveResult(60_000, pylon.TimeoutHandling_ThrowException).Release()
    with gadget.connect() as virtual:
        began_s = time.monotonic()
        virtual.unplug()
    error = ""
    try:
        while not removal.came.is_set() and time.monotonic() < began_s + PATIENCE_S:
            camera.RetrieveResult(1000, pylon.TimeoutHandling_Return).Release()
    except genicam.GenericException as trouble:
        error = str(trouble).splitlines()[0]
    came = removal.came.wait(PATIENCE_S)
    found = {
        "told": came,
        "seconds": removal.at_s - began_s,
        "removed": camera.IsCameraDeviceRemoved(),
        "error": error,
    }
    camera.DetachDevice()
    return found


def main() -> None:
    factory = pylon.TlFactory.GetInstance()
    whole = [cycle(factory) for _ in range(int(sys.argv[1]))]
    removal = unplugged(factory)
    with gadget.connect() as virtual:
        virtual.replug()
    ends_s = time.monotonic() + PATIENCE_S
    while not (back := len(factory.EnumerateDevices())) and time.monotonic() < ends_s:
        time.sleep(0.05)
    print(json.dumps({"cycles": whole, "removal": removal, "back": back, "again": cycle(factory)}))


if __name__ == "__main__":
    main()
