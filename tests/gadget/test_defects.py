"""Hot pixels reach the picture, the camera's defect pixel list knows them, and its correction takes them out."""

import numpy as np
import numpy.typing as npt

from frames.source import Defects
from gadget.loopback import LoopbackBus
from gadget.runner import BuiltCamera, CameraSpec, build
from u3v.host.client import U3VClient
from u3v.host.nodes import DeviceNodes
from u3v.host.stream import StreamReader

SIZE = 512


def camera(hot: int) -> tuple[BuiltCamera, DeviceNodes, StreamReader]:
    spec = CameraSpec(
        "VCXG-124M", scene="uniform:photons=0", defects=Defects(hot_pixels=hot, hot_e_per_s=1e6)
    )
    virtual = build(spec, "40000001")
    client = U3VClient(LoopbackBus(virtual.function))
    client.open()
    nodes = DeviceNodes(client)
    for name, value in {"Width": SIZE, "Height": SIZE, "ExposureTime": 100000}.items():
        nodes.set(name, value)
    return virtual, nodes, StreamReader(client)


def picture(nodes: DeviceNodes, reader: StreamReader) -> npt.NDArray[np.uint8]:
    reader.start([bytearray(reader.buffer_bytes) for _ in range(2)])
    nodes.execute("AcquisitionStart")
    pixels = np.frombuffer(bytes(reader.next_frame(5000).payload), np.uint8).reshape(SIZE, SIZE)
    nodes.execute("AcquisitionStop")
    reader.stop()
    return pixels


def test_hot_pixels_are_listed_and_corrected() -> None:
    virtual, nodes, reader = camera(hot=512)
    listed = {(x, y) for x, y in virtual.pixels.source.corrected if x < SIZE and y < SIZE}
    assert listed
    seen = set()
    for index in range(512):
        nodes.set("DefectPixelListIndex", index)
        assert nodes.get("DefectPixelListEntryActive") is True
        seen.add((nodes.get("DefectPixelListEntryPosX"), nodes.get("DefectPixelListEntryPosY")))
    assert seen == set(virtual.pixels.source.corrected)
    nodes.set("DefectPixelCorrection", False)
    raw = picture(nodes, reader)
    bright = {(int(x), int(y)) for y, x in np.argwhere(raw > 64)}
    assert bright and bright <= listed
    nodes.set("DefectPixelCorrection", True)
    assert picture(nodes, reader).max() < 16
