"""A plain pypylon program: enumerate, open, read all features, grab; prints one JSON object."""

import argparse
import json

from pypylon import genicam, pylon


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--roi", type=int, nargs=2, default=[640, 480], metavar=("W", "H"))
    parser.add_argument("--format", default="Mono8")
    arguments = parser.parse_args()
    factory = pylon.TlFactory.GetInstance()
    devices = factory.EnumerateDevices()
    camera = pylon.InstantCamera(factory.CreateFirstDevice())
    camera.Open()
    nodes = camera.GetNodeMap()
    bad_nodes = []
    for node in nodes.GetNodes():
        name = node.GetNode().GetName()
        try:
            if genicam.IsReadable(node) and hasattr(node, "ToString"):
                node.ToString()
        except genicam.GenericException as error:
            bad_nodes.append(f"{name}: {error}")
    camera.Width.Value, camera.Height.Value = arguments.roi
    camera.PixelFormat.Value = arguments.format
    ids, errors, shapes = [], [], set()
    camera.StartGrabbingMax(arguments.count, pylon.GrabStrategy_OneByOne)
    while camera.IsGrabbing():
        result = camera.RetrieveResult(5000, pylon.TimeoutHandling_ThrowException)
        ids.append(result.BlockID)
        if result.GrabSucceeded():
            shapes.add(result.Array.shape)
        else:
            errors.append(f"{result.ErrorCode & 0xFFFFFFFF:08X}")
        result.Release()
    grabber = camera.StreamGrabber
    statistics = {
        name: getattr(grabber, name).Value
        for name in (
            "Statistic_Total_Buffer_Count",
            "Statistic_Failed_Buffer_Count",
            "Statistic_Missed_Frame_Count",
            "Statistic_Resynchronization_Count",
        )
    }
    info = camera.GetDeviceInfo()
    print(
        json.dumps(
            {
                "devices": len(devices),
                "vendor": info.GetVendorName(),
                "model": info.GetModelName(),
                "serial": info.GetSerialNumber(),
                "nodes": len(list(nodes.GetNodes())),
                "bad_nodes": bad_nodes,
                "frames": len(ids),
                "gaps": sum(b - a - 1 for a, b in zip(ids, ids[1:], strict=False)),
                "errors": sorted(set(errors)),
                "error_count": len(errors),
                "shapes": sorted(shapes),
                "statistics": statistics,
            }
        )
    )
    camera.Close()


if __name__ == "__main__":
    main()
