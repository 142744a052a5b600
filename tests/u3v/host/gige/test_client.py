"""The GVCP client against hand-made answers, and client and stream against the camera, on a fake clock."""

import struct
from collections import deque
from collections.abc import Callable, Sequence

import pytest

from tests.u3v.gev.host import HOST, STREAM_PORT, Host
from u3v.errors import GenCPError, Malformed, U3VError
from u3v.gev.control import Datagram
from u3v.gev.stream import apart
from u3v.host.client import NoAnswer
from u3v.host.gige import registers
from u3v.host.gige.client import TRIES, GvcpClient
from u3v.host.gige.stream import GigeStream, NothingCame
from u3v.host.nodes import DeviceNodes
from u3v.host.stream import StreamLost

MS = 1_000_000
MODELS = ["acA4096-11gm", "VCXG-124M"]


class Script:
    """Answers each command with what a function makes of it."""

    def __init__(self, answer: Callable[[bytes], list[bytes]]) -> None:
        self._answer = answer
        self._waiting: deque[bytes] = deque()
        self.sent: list[bytes] = []
        self.timeouts: list[int] = []

    def send(self, data: bytes) -> None:
        self.sent.append(data)
        self._waiting.extend(self._answer(data))

    def receive(self, timeout_ms: int) -> bytes | None:
        self.timeouts.append(timeout_ms)
        return self._waiting.popleft() if self._waiting else None


def ack(command: bytes, payload: bytes = b"", status: int = 0, code: int = 0) -> bytes:
    asked, _, request_id = struct.unpack_from(">HHH", command, 2)
    return struct.pack(">HHHH", status, (code or asked) + 1, len(payload), request_id) + payload


def test_a_silent_camera_is_asked_again_with_the_same_bytes() -> None:
    script = Script(lambda _: [])
    with pytest.raises(NoAnswer, match="no acknowledge to 4 commands"):
        GvcpClient(script).read_u32(0xA00)
    assert script.sent == [bytes.fromhex("4201008000040001 00000a00")] * TRIES


def test_an_acknowledge_of_another_command_is_counted_and_passed_over() -> None:
    other = bytes.fromhex("0000008100040099 00000007")
    client = GvcpClient(Script(lambda command: [other, ack(command, struct.pack(">I", 5))]))
    assert client.read_u32(0xA00) == 5 and client.stale_acks == 1


def test_pending_means_patience() -> None:
    script = Script(
        lambda command: [ack(command, struct.pack(">HH", 0, 4000), code=0x88), ack(command, b"\0\0\0\1")]
    )
    GvcpClient(script).write_u32(0x944, 2)
    assert script.timeouts == [500, 4000] and len(script.sent) == 1


def test_refusals_name_the_status() -> None:
    with pytest.raises(GenCPError, match=r"WRITE_PROTECT \(0x8004\)"):
        GvcpClient(Script(lambda command: [ack(command, status=0x8004)])).write_u32(0, 1)


def test_an_xml_elsewhere_is_refused() -> None:
    assert registers.parse_url("Local:a.ZIP;10000;e290") == registers.Url("a.ZIP", 0x10000, 0xE290)
    for said in ("File:c:/a.xml", "Local:a.zip", "http://a/b.xml;1;2", ""):
        with pytest.raises(Malformed):
            registers.parse_url(said)


class OnCamera:
    """Link and packets of one host, to the camera of a rig. Time goes on while the host waits."""

    ip, port = HOST[0], STREAM_PORT

    def __init__(self, rig: Host) -> None:
        self.rig = rig
        self.lose: Callable[[bytes], bool] = lambda _: False
        self._answers: deque[bytes] = deque()

    def send(self, data: bytes) -> None:
        came = self.rig.function.datagrams([Datagram(data, HOST)], self.rig.now_ns)
        self._answers.extend(one.data for one in came)

    def receive(self, timeout_ms: int) -> bytes | None:
        if not self._answers:
            self._answers.extend(one.data for one in self.rig.wait(timeout_ms * MS))
        return self._answers.popleft() if self._answers else None


class Stream:
    """What comes to the stream's port."""

    ip, port = HOST[0], STREAM_PORT

    def __init__(self, camera: OnCamera) -> None:
        self._camera = camera

    def receive(self, timeout_ms: int) -> tuple[int, Sequence[memoryview]]:
        rig = self._camera.rig
        rig.wait(timeout_ms * MS)
        sent = [one.header + bytes(one.data) for one in apart(rig.function.packets(rig.now_ns, 1000))]
        return rig.now_ns, [memoryview(one) for one in sent if not self._camera.lose(one)]


@pytest.fixture(params=MODELS)
def camera(request: pytest.FixtureRequest) -> OnCamera:
    return OnCamera(Host(request.param))


def opened(camera: OnCamera) -> tuple[GvcpClient, DeviceNodes]:
    client = GvcpClient(camera)
    client.open()
    return client, DeviceNodes(client)


def test_features_over_gvcp(camera: OnCamera) -> None:
    client, nodes = opened(camera)
    assert (client.manufacturer_name, client.serial_number) == (camera.rig.camera.model.maker, "40000001")
    nodes.set("Width", 128)
    assert camera.rig.camera.features.get("Width") == 128 and nodes.get("Width") == 128
    nodes.set("DeviceUserID", "left one")
    assert camera.rig.camera.user_defined_name == "left one"
    client.close()
    assert camera.rig.function.control.owner is None


def test_another_host_is_in_control(camera: OnCamera) -> None:
    camera.rig.ask(0x82, struct.pack(">II", 0xA00, 2), peer=("10.0.0.6", 40000))
    with pytest.raises(GenCPError, match="another host is in control"):
        GvcpClient(camera).open()


@pytest.mark.parametrize("model", MODELS)
def test_frames_come_whole_although_packets_are_lost(model: str) -> None:
    """20 frames a second: a camera keeps one or two for those who ask again."""
    camera = OnCamera(Host(model, paced=True))
    camera.rig.camera.features.host_set("AcquisitionFrameRateEnable", True)
    camera.rig.camera.features.host_set("AcquisitionFrameRate", 20.0)
    client, nodes = opened(camera)
    stream = GigeStream(client, Stream(camera), int(nodes.get("PayloadSize")))
    stream.start([bytearray(stream.buffer_bytes) for _ in range(4)])
    assert stream.packet_bytes == 9000
    seen: set[bytes] = set()

    def first_time(packet: bytes) -> bool:
        """Every other packet, the first time: by its header behind the status."""
        is_new = packet[2:20] not in seen
        seen.add(packet[2:20])
        return is_new and len(seen) % 2 == 0

    camera.lose = first_time
    nodes.execute("AcquisitionStart")
    for number in range(1, 6):
        frame = stream.next_frame(1000)
        assert (frame.block_id, frame.reason) == (number, "")
        stream.release(frame)
    assert stream.asked_again > 0
    nodes.execute("AcquisitionStop")
    stream.stop()
    assert stream.assembler.delivered == 5 and not camera.rig.camera.frames.enabled


def test_a_stream_without_frames_ends_and_keeps_control(camera: OnCamera) -> None:
    client, nodes = opened(camera)
    stream = GigeStream(client, Stream(camera), int(nodes.get("PayloadSize")))
    stream.start([bytearray(stream.buffer_bytes)])
    with pytest.raises(NothingCame):
        stream.next_frame(20_000)
    assert camera.rig.function.control.owner == HOST  # although its heartbeat timeout is 3 s
    camera.rig.function.control.release()
    with pytest.raises(StreamLost, match="control of the camera was lost"):
        stream.next_frame(20_000)


def test_no_test_packet_comes_through(camera: OnCamera) -> None:
    client, nodes = opened(camera)
    stream = GigeStream(client, Stream(camera), int(nodes.get("PayloadSize")))
    camera.lose = lambda _: True
    with pytest.raises(U3VError, match="no test packet"):
        stream.start([bytearray(stream.buffer_bytes)])


def test_a_smaller_way_takes_smaller_packets(camera: OnCamera) -> None:
    client, nodes = opened(camera)
    stream = GigeStream(client, Stream(camera), int(nodes.get("PayloadSize")))
    camera.lose = lambda packet: len(packet) > 1472
    stream.start([bytearray(stream.buffer_bytes)])
    assert stream.packet_bytes == 1500
    nodes.execute("AcquisitionStart")
    assert stream.next_frame(1000).complete
