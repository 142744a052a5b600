"""A plain program of one of three hosts with a camera in trouble: open it, set exposure and gain, grab, say what came.

    troubled_client.py aravis|pylon|viva [--count N] [--roi W H]

Prints one JSON object: what was said at each step, and what became of the frames. It knows nothing of faults.
"""

import argparse
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

PATIENCE_S = 3
FIRST_S = 20
"""For the first frame: a camera may have to be made ready."""


class Diary:
    """What was done, and what came of it."""

    def __init__(self) -> None:
        self.said: dict[str, Any] = {}

    def step(self, name: str, action: Callable[[], Any]) -> Any:
        try:
            result = action()
            self.said[name] = "ok"
            return result
        except Exception as error:
            self.said[name] = f"{type(error).__name__}: {error}".strip().splitlines()[0][:200]
            return None


def aravis(diary: Diary, count: int, roi: tuple[int, int]) -> None:
    import gi

    gi.require_version("Aravis", "0.8")
    from gi.repository import Aravis

    Aravis.enable_interface("USB3Vision")
    Aravis.disable_interface("GigEVision")
    Aravis.disable_interface("Fake")
    camera = diary.step("open", lambda: Aravis.Camera.new(None))
    if camera is None:
        return
    lost = []
    camera.get_device().connect("control-lost", lambda _device: lost.append(True))
    diary.step("exposure", lambda: camera.set_exposure_time(2000))
    diary.step("gain", lambda: camera.set_gain(1))
    camera.uv_set_usb_mode(Aravis.UvUsbMode.SYNC)
    diary.step("roi", lambda: camera.set_region(0, 0, *roi))
    payload = diary.step("payload", camera.get_payload)
    stream = diary.step("stream", lambda: camera.create_stream(None, None))
    if stream is None or not payload:
        return
    for _ in range(count + 5):
        stream.push_buffer(Aravis.Buffer.new_allocate(payload))
    diary.step("start", camera.start_acquisition)
    came: Counter[str] = Counter()
    ids, stamps = [], []
    for _ in range(count):
        buffer = stream.timeout_pop_buffer((PATIENCE_S if ids else FIRST_S) * 1_000_000)
        if buffer is None:
            came["nothing in time"] += 1
            break
        came[buffer.get_status().value_nick] += 1
        ids.append(buffer.get_frame_id())
        stamps.append(buffer.get_timestamp())
        stream.push_buffer(buffer)
    diary.said["frames"] = dict(came)
    diary.said["ids"] = ids
    diary.said["backwards"] = sum(b <= a for a, b in zip(stamps, stamps[1:], strict=False))
    diary.step("stop", camera.stop_acquisition)
    diary.said["statistics"] = list(stream.get_statistics())
    diary.said["control-lost"] = bool(lost)


def pylon(diary: Diary, count: int, roi: tuple[int, int]) -> None:
    from pypylon import pylon

    factory = pylon.TlFactory.GetInstance()
    camera = diary.step("find", lambda: pylon.InstantCamera(factory.CreateFirstDevice()))
    if camera is None:
        return
    diary.step("open", camera.Open)
    if diary.said["open"] != "ok":
        return
    diary.step("exposure", lambda: camera.ExposureTime.SetValue(2000.0))
    diary.step("gain", lambda: camera.Gain.SetValue(1.0))
    diary.step("roi", lambda: (camera.Width.SetValue(roi[0]), camera.Height.SetValue(roi[1])))
    diary.step("start", lambda: camera.StartGrabbingMax(count, pylon.GrabStrategy_OneByOne))
    came: Counter[str] = Counter()
    ids = []

    def grab() -> None:
        while camera.IsGrabbing():
            result = camera.RetrieveResult(
                (PATIENCE_S if ids else FIRST_S) * 1000, pylon.TimeoutHandling_ThrowException
            )
            good = result.GrabSucceeded()
            came["good" if good else f"{result.ErrorCode & 0xFFFFFFFF:08X}"] += 1
            ids.append(result.BlockID)
            result.Release()

    if diary.said["start"] == "ok":
        diary.step("grab", grab)
    diary.said["frames"], diary.said["ids"] = dict(came), ids
    names = ("Failed_Buffer_Count", "Missed_Frame_Count", "Resynchronization_Count")
    diary.step(
        "statistics",
        lambda: diary.said.update({n: getattr(camera.StreamGrabber, f"Statistic_{n}").Value for n in names}),
    )
    diary.step("removed", lambda: diary.said.update({"is removed": camera.IsCameraDeviceRemoved()}))
    diary.step("stop", camera.StopGrabbing)
    diary.step("close", camera.Close)


def viva(diary: Diary, count: int, roi: tuple[int, int]) -> None:
    import viva_genicam as vg

    devices = diary.step("find", vg.discover_u3v) or []
    diary.said["devices"] = len(devices)
    if not devices:
        return
    camera = diary.step("open", lambda: vg.connect_u3v(devices[0]))
    if camera is None:
        return
    with camera:
        diary.step("exposure", lambda: camera.set("ExposureTime", "2000"))
        diary.step("gain", lambda: camera.set("Gain", "1"))
        diary.step("roi", lambda: (camera.set_integer("Width", roi[0]), camera.set_integer("Height", roi[1])))
        ids: list[int] = []

        def grab() -> None:
            with camera.stream() as frames:
                try:
                    while len(ids) < count:
                        frame = frames.next_frame(timeout_ms=(PATIENCE_S if ids else FIRST_S) * 1000)
                        if frame is None:
                            diary.said["stream"] = "ended"
                            break
                        ids.append(frame.block_id)
                finally:
                    stats = frames.stats()
                    names = ("frames_incomplete", "frames_missed", "frames_unsupported", "transfer_errors")
                    diary.said["frames"] = {n: getattr(stats, n) for n in names}

        diary.step("grab", grab)
        diary.said["ids"] = ids


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("host", choices=["aravis", "pylon", "viva"])
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--roi", type=int, nargs=2, default=[1000, 750], metavar=("W", "H"))
    arguments = parser.parse_args()
    diary = Diary()
    {"aravis": aravis, "pylon": pylon, "viva": viva}[arguments.host](
        diary, arguments.count, tuple(arguments.roi)
    )
    print(json.dumps(diary.said), flush=True)


if __name__ == "__main__":
    main()
