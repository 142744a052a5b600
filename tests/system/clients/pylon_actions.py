"""A plain pypylon program: cameras agree on a clock (PTP); actions trigger all of them, at once and at a time; it hears
of the end of each exposure.

Prints one JSON object.
"""

import json
import time

from pypylon import pylon

KEYS = (0x1234, 0x42, 0x1)
PATIENCE_MS = 20_000


class Heard(pylon.CameraEventHandler):
    def __init__(self) -> None:
        super().__init__()
        self.stamps: list[int] = []

    def OnCameraEvent(self, camera: pylon.InstantCamera, provided_id: int, node: object) -> None:
        self.stamps.append(node.GetValue())  # type: ignore[attr-defined]


def main() -> None:
    factory = pylon.TlFactory.GetInstance()
    layer = factory.CreateTl("BaslerGigE")
    cameras = [pylon.InstantCamera(factory.CreateDevice(device)) for device in factory.EnumerateDevices()]
    heard = Heard()
    for camera in cameras:
        camera.GrabCameraEvents.Value = True
        camera.Open()
        append, keep = pylon.RegistrationMode_Append, pylon.Cleanup_None
        camera.RegisterCameraEventHandler(heard, "ExposureEndEventTimestamp", 1, append, keep)
        camera.EventSelector.Value, camera.EventNotification.Value = "ExposureEnd", "On"
        camera.Width.Value, camera.Height.Value, camera.ExposureTimeAbs.Value = 64, 48, 100.0
        camera.ActionDeviceKey.Value, camera.ActionGroupKey.Value, camera.ActionGroupMask.Value = (
            *KEYS[:2],
            0xFF,
        )
        camera.GevIEEE1588.Value = True
    ends = time.monotonic() + PATIENCE_MS / 1000
    while "Slave" not in [camera.GevIEEE1588Status.Value for camera in cameras] and time.monotonic() < ends:
        time.sleep(0.1)
    result: dict[str, object] = {"states": sorted(camera.GevIEEE1588Status.Value for camera in cameras)}
    for camera in cameras:
        camera.GevIEEE1588DataSetLatch.Execute()
    result["offsets"] = [camera.GevIEEE1588OffsetFromMaster.Value for camera in cameras]
    result["parents"] = len({camera.GevIEEE1588ParentClockId.Value for camera in cameras})
    for camera in cameras:
        camera.TriggerSelector.Value = "FrameStart"
        camera.TriggerMode.Value, camera.TriggerSource.Value = "On", "Action1"
        camera.StartGrabbingMax(2)
        camera.AcquisitionStatusSelector.Value = "FrameTriggerWait"
        while not camera.AcquisitionStatus.Value and time.monotonic() < ends:
            time.sleep(0.01)

    def stamps() -> list[int]:
        """Timestamps of the next frame of each camera."""
        return [camera.RetrieveResult(PATIENCE_MS).TimeStamp for camera in cameras]

    _, told = layer.ActionCommand(*KEYS).IssueWait(5000, len(cameras))
    result["told"] = sorted(map(list, told))
    result["at_once"] = stamps()
    cameras[0].GevTimestampControlLatch.Execute()
    due = cameras[0].GevTimestampValue.Value + 2_000_000_000
    _, told = layer.ScheduledActionCommand(*KEYS, due).IssueWait(5000, len(cameras))
    result["told_of_time"] = sorted(map(list, told))
    result["due"], result["scheduled"] = due, stamps()
    while len(heard.stamps) < 2 * len(cameras) and time.monotonic() < ends + 10:
        time.sleep(0.05)
    result["exposed"] = sorted(heard.stamps)
    print(json.dumps(result))
    for camera in cameras:
        camera.DeregisterCameraEventHandler(heard, "ExposureEndEventTimestamp")
        camera.Close()


if __name__ == "__main__":
    main()
