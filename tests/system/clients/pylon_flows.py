"""A pypylon program that goes through pylon's own flows, one for each argument; prints one JSON object a flow."""

import json
import sys
from collections.abc import Callable

import numpy as np
from pypylon import genicam, pylon

FRAMES = 40


def chunks(camera: pylon.InstantCamera) -> dict[str, object]:
    """pylon's sample "Grab_ChunkImage": all chunks on, each value read from the frame's own node map."""
    camera.ChunkModeActive.Value = True
    names = list(camera.ChunkSelector.Symbolics)
    for name in names:
        camera.ChunkSelector.Value = name
        camera.ChunkEnable.Value = True
    camera.ExposureTime.Value = 1234.0
    camera.Gain.Value = 3.0
    camera.StartGrabbingMax(FRAMES)
    frames, failed = [], 0
    while camera.IsGrabbing():
        result = camera.RetrieveResult(60_000, pylon.TimeoutHandling_ThrowException)
        if not result.GrabSucceeded():
            failed += 1
            continue
        assert result.PayloadType == pylon.PayloadType_ChunkData
        nodes = result.ChunkDataNodeMap
        values = {}
        for name in (
            "Timestamp",
            "ExposureTime",
            "Gain",
            "LineStatusAll",
            "CounterValue",
            "SequencerSetActive",
        ):
            values[name] = nodes.GetNode(f"Chunk{name}").Value
        frames.append({"timestamp": result.TimeStamp, "has_crc": result.HasCRC(), **values})
    checked = checks(camera)
    camera.ChunkModeActive.Value = False
    return {"chunks": names, "failed": failed, "frames": frames, "checked": checked}


def checks(camera: pylon.InstantCamera) -> list[dict[str, object]]:
    """pylon's own check of each frame's checksum, beside what is not as the camera made it: a known test image."""
    camera.TestImageSelector.Value = "Testimage1"
    rows, columns = np.mgrid[:480, :640]
    image = ((rows + columns) % 256).astype(np.uint8).ravel()
    camera.StartGrabbingMax(FRAMES)
    found = []
    while camera.IsGrabbing():
        result = camera.RetrieveResult(60_000, pylon.TimeoutHandling_ThrowException)
        if result.GrabSucceeded():
            pixels = np.frombuffer(bytes(result.GetBuffer()), np.uint8)[: image.size]
            spoiled = np.flatnonzero(pixels != image)
            found.append(
                {"check": result.CheckCRC(), "spoiled": spoiled.tolist(), "as": pixels[spoiled].tolist()}
            )
    camera.TestImageSelector.Value = "Off"
    return found


def files(camera: pylon.InstantCamera) -> dict[str, object]:
    """pylon's sample "FileAccess": a file is written and read again."""
    content = bytes(n * 7 % 251 for n in range(3000))
    file = genicam.FileAccess()
    file.open(camera.GetNodeMap(), "UserData", "w")
    file.write(content)
    file.close()
    file.open(camera.GetNodeMap(), "UserData", "r")
    read = file.read()
    file.close()
    return {"same": bytes(read) == content, "names": list(camera.FileSelector.Symbolics)}


def user_sets(camera: pylon.InstantCamera) -> dict[str, object]:
    """pylon's sample "ParametrizeCamera_UserSets"."""
    gains = []
    for name, gain in (("UserSet1", 1.0), ("UserSet2", 2.0), ("UserSet3", 3.0)):
        camera.UserSetSelector.Value = name
        camera.Gain.Value = gain
        camera.UserSetSave.Execute()
    for name in ("Default", "UserSet1", "UserSet2", "UserSet3"):
        camera.UserSetSelector.Value = name
        camera.UserSetLoad.Execute()
        gains.append(camera.Gain.Value)
    camera.UserSetDefault.Value = "UserSet2"
    return {"gains": gains, "default": camera.UserSetDefault.Value}


def sequencer(camera: pylon.InstantCamera) -> dict[str, object]:
    """pylon's sample "Grab_UsingSequencer": three exposure times in turn, told by the frames' chunks."""
    camera.SequencerMode.Value = "Off"
    camera.SequencerConfigurationMode.Value = "On"
    times = [500.0, 1000.0, 2000.0]
    for number, exposure_us in enumerate(times):
        camera.SequencerSetSelector.Value = number
        camera.ExposureTime.Value = exposure_us
        camera.SequencerPathSelector.Value = 0
        camera.SequencerSetNext.Value = (number + 1) % 3
        camera.SequencerTriggerSource.Value = "FrameStart"
        camera.SequencerSetSave.Execute()
    camera.SequencerSetStart.Value = 0
    camera.SequencerConfigurationMode.Value = "Off"
    camera.SequencerMode.Value = "On"
    camera.ChunkModeActive.Value = True
    for name in ("ExposureTime", "SequencerSetActive"):
        camera.ChunkSelector.Value = name
        camera.ChunkEnable.Value = True
    camera.StartGrabbingMax(FRAMES)
    seen = []
    while camera.IsGrabbing():
        result = camera.RetrieveResult(60_000, pylon.TimeoutHandling_ThrowException)
        if result.GrabSucceeded():
            nodes = result.ChunkDataNodeMap
            number = nodes.GetNode("ChunkSequencerSetActive").Value
            seen.append((result.BlockID, number, nodes.GetNode("ChunkExposureTime").Value))
    camera.SequencerMode.Value = "Off"
    camera.ChunkModeActive.Value = False
    return {"times": times, "seen": seen}


class Heard(pylon.CameraEventHandler):
    """pylon's own event handler: it is told of a node whose event has come."""

    def __init__(self) -> None:
        super().__init__()
        self.values: list[tuple[str, int]] = []

    def OnCameraEvent(self, camera: pylon.InstantCamera, provided_id: int, node: object) -> None:
        name = node.GetNode().GetName()  # type: ignore[attr-defined]
        self.values.append((name, node.GetValue()))  # type: ignore[attr-defined]


def events(camera: pylon.InstantCamera) -> dict[str, object]:
    """pylon's sample "Grab_CameraEvents": the end of each exposure, with the frame's id."""
    heard = Heard()
    for name in ("EventExposureEndFrameID", "EventExposureEndTimestamp"):
        camera.RegisterCameraEventHandler(
            heard,
            name,
            1,
            pylon.RegistrationMode_Append,
            pylon.Cleanup_None,
            pylon.CameraEventAvailability_Mandatory,
        )
    camera.EventSelector.Value = "ExposureEnd"
    camera.EventNotification.Value = "On"
    camera.AcquisitionFrameRateEnable.Value, camera.AcquisitionFrameRate.Value = True, 30.0
    camera.StartGrabbingMax(FRAMES)
    while camera.IsGrabbing():
        camera.RetrieveResult(60_000, pylon.TimeoutHandling_ThrowException).Release()
    camera.EventNotification.Value = "Off"
    camera.AcquisitionFrameRateEnable.Value = False
    for name in ("EventExposureEndFrameID", "EventExposureEndTimestamp"):
        camera.DeregisterCameraEventHandler(heard, name)
    return {
        "ids": [value for name, value in heard.values if name.endswith("FrameID")],
        "stamps": [value for name, value in heard.values if name.endswith("Timestamp")],
    }


FLOWS: dict[str, Callable[[pylon.InstantCamera], dict[str, object]]] = {
    "chunks": chunks,
    "events": events,
    "files": files,
    "sequencer": sequencer,
    "user_sets": user_sets,
}


def main() -> None:
    camera = pylon.InstantCamera(pylon.TlFactory.GetInstance().CreateFirstDevice())
    camera.GrabCameraEvents.Value = True
    camera.Open()
    camera.Width.Value, camera.Height.Value = 640, 480
    for name in sys.argv[1:]:
        print(json.dumps({"flow": name, **FLOWS[name](camera)}), flush=True)
    camera.Close()


if __name__ == "__main__":
    main()
