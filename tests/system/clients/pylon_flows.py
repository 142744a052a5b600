"""A pypylon program that goes through pylon's own flows, one for each argument; prints one JSON object a flow."""

import json
import sys
from collections.abc import Callable

from pypylon import pylon

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
    camera.ChunkModeActive.Value = False
    return {"chunks": names, "failed": failed, "frames": frames}


FLOWS: dict[str, Callable[[pylon.InstantCamera], dict[str, object]]] = {"chunks": chunks}


def main() -> None:
    camera = pylon.InstantCamera(pylon.TlFactory.GetInstance().CreateFirstDevice())
    camera.Open()
    camera.Width.Value, camera.Height.Value = 640, 480
    for name in sys.argv[1:]:
        print(json.dumps({"flow": name, **FLOWS[name](camera)}), flush=True)
    camera.Close()


if __name__ == "__main__":
    main()
