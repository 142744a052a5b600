"""A plain pypylon program: enumerate, open, read all features, grab; prints one JSON object."""

import argparse
import json

from pypylon import genicam, pylon

STATISTICS = {
    "BaslerUsb": ("Total_Buffer", "Failed_Buffer", "Missed_Frame", "Resynchronization"),
    "BaslerGigE": ("Total_Buffer", "Failed_Buffer", "Failed_Packet", "Resend_Request", "Resend_Packet"),
}


def write_back(nodes: genicam.INodeMap) -> dict[str, str]:
    """What became of each feature: "" or the error."""
    written = {}
    for node in nodes.GetNodes():
        name = node.GetNode().GetName()
        if genicam.IsReadable(node) and genicam.IsWritable(node) and hasattr(node, "FromString"):
            kind = node.GetNode().GetPrincipalInterfaceType()
            if node.GetNode().IsFeature() and kind != genicam.intfICommand:
                try:
                    node.FromString(node.ToString())
                    written[name] = ""
                except genicam.GenericException as error:
                    written[name] = str(error)
    return written


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--roi", type=int, nargs=2, default=[640, 480], metavar=("W", "H"))
    parser.add_argument("--format", default="Mono8")
    parser.add_argument("--packet-size", type=int, default=0, help="of a GigE camera, in bytes")
    parser.add_argument(
        "--packet-delay", type=int, default=0, help="between two packets of a GigE camera, in ticks"
    )
    parser.add_argument(
        "--go-on", action="store_true", help="ask for more frames than --count: the last is not the end"
    )
    parser.add_argument("--write-back", action="store_true", help="write each feature's own value into it")
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
    written = write_back(nodes) if arguments.write_back else {}
    camera.Width.Value, camera.Height.Value = arguments.roi
    camera.PixelFormat.Value = arguments.format
    if arguments.packet_size:
        camera.GevSCPSPacketSize.Value = arguments.packet_size
    if arguments.packet_delay:
        camera.GevSCPD.Value = arguments.packet_delay
    if (
        camera.GetDeviceInfo().GetDeviceClass() == "BaslerGigE"
    ):  # busy machines take longer than 300 ms for a frame
        camera.StreamGrabber.FrameRetention.Value = 10_000
    ids, errors, shapes = [], [], set()
    most = (1 << 30) if arguments.go_on else arguments.count
    camera.StartGrabbingMax(most, pylon.GrabStrategy_OneByOne)
    while camera.IsGrabbing() and len(ids) < arguments.count:
        result = camera.RetrieveResult(60000, pylon.TimeoutHandling_ThrowException)
        ids.append(result.BlockID)
        if result.GrabSucceeded():
            shapes.add(result.Array.shape)
        else:
            errors.append(f"{result.ErrorCode & 0xFFFFFFFF:08X}")
        result.Release()
    grabber, info = camera.StreamGrabber, camera.GetDeviceInfo()
    names = [f"Statistic_{name}_Count" for name in STATISTICS[info.GetDeviceClass()]]
    statistics = {name: getattr(grabber, name).Value for name in names}
    print(
        json.dumps(
            {
                "devices": len(devices),
                "vendor": info.GetVendorName(),
                "model": info.GetModelName(),
                "serial": info.GetSerialNumber(),
                "nodes": len(list(nodes.GetNodes())),
                "bad_nodes": bad_nodes,
                "written": written,
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
