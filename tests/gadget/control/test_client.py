"""connect(): finding a camera of another process, and doing to it what can be done to one's own."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

import gadget
from gadget import CameraError, CameraTimeout
from gadget.control import places, protocol
from gadget.control.client import RemoteCamera, running
from gadget.control.server import ControlServer
from gadget.runner import CameraSpec
from tests.gadget.control.rig import controlled


@pytest.fixture(autouse=True)
def runtime_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv(places.VARIABLE, raising=False)
    return tmp_path


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlServer]:
    settings = {"Width": "64", "Height": "32"}
    with controlled(
        tmp_path_factory.mktemp("control") / "77.sock",
        CameraSpec("acA4096-40um", settings=settings, name="left"),
    ) as server:
        yield server


@pytest.fixture
def camera(served: ControlServer) -> Iterator[RemoteCamera]:
    with gadget.connect(path=served.path) as made:
        yield made


def test_u16_the_verbs_are_those_of_a_camera_in_this_process(camera: RemoteCamera) -> None:
    camera.features["ExposureTime"] = 2000
    camera.features.set("TriggerMode", "Off", TriggerSelector="FrameStart")
    assert (camera.features.ExposureTime, camera.features["Width"]) == (2000, 64)
    assert camera.features.limits("Width").max == 4112
    assert "Mono12p" in camera.features.entries("PixelFormat")
    assert "Width" in dir(camera.features)
    assert camera.scene("bar") == "bar"
    assert camera.supply(port_ma=900)["port_ma"] == 900
    assert camera.ambient(30)["ambient_c"] == 30
    assert camera.counters()["offered"] == 0
    assert camera.state()["name"] == "left"
    assert set(camera.history()) == {"happenings", "writes"}
    camera.features.execute("AcquisitionStop")
    camera.unplug()
    assert camera.wait_for("unplugged") == {"what": "unplugged"}
    camera.replug()
    camera.reset()
    assert camera.wait_for("unplugged", timeout_s=20) == {"what": "unplugged"}
    assert camera.wait_for("plugged", timeout_s=20) == {"what": "plugged"}


def test_mistakes_are_the_cameras_own_words(camera: RemoteCamera) -> None:
    with pytest.raises(CameraError, match="has no feature 'Widht', did you mean 'Width'"):
        camera.features["Widht"] = 5
    assert not hasattr(camera.features, "Widht")
    with pytest.raises(CameraError, match=r"Width = 65: must be 8 to 4112 px in steps of 4") as error:
        camera.features["Width"] = 65
    assert error.value.status == "INVALID_PARAMETER"
    with pytest.raises(CameraError, match="set: Object of type object is not JSON serializable"):
        camera.features["Width"] = object()
    with pytest.raises(CameraTimeout, match=r"no frame 9999 within 0\.01 s"):
        camera.wait_for("frame 9999", timeout_s=0.01)


def test_happenings_are_told_as_they_come(tmp_path: Path) -> None:
    spec = CameraSpec("acA4096-40um", clock="lockstep", settings={"Width": "64", "Height": "32"})
    with controlled(tmp_path / "c", spec), gadget.connect(path=tmp_path / "c") as camera:
        heard = camera.happenings("ExposureEnd", timeout_s=30)
        camera.features.execute("AcquisitionStart")
        camera.advance("25ms")
        assert [next(heard).what for _ in range(2)] == ["ExposureEnd"] * 2
        heard.close()  # type: ignore[attr-defined]
        assert camera.state()["state"] == "acquiring"
        while camera.state()["now_ns"] < 25_000_000:
            pass
        with pytest.raises(CameraTimeout, match="nothing happened within"):
            next(camera.happenings(timeout_s=0.01))


def test_the_only_camera_is_found_and_of_several_the_one_that_is_named(runtime_directory: Path) -> None:
    with pytest.raises(CameraError, match="no camera runs; start one: u3v serve acA4096-40um"):
        gadget.connect()
    one, two = (places.default_path().with_name(f"{n}{places._ending()}") for n in (1, 2))
    with controlled(one, CameraSpec("acA4096-40um")):
        with gadget.connect() as only:
            assert only.state()["serial"] == "40000001"
        with controlled(two, CameraSpec("IDS-IMX412", serial="5", name="right")):
            for which in ("5", 5, "right", "IDS-IMX412", "2", str(two)):
                with gadget.connect(which) as camera:
                    assert camera.state()["maker"] == "IDS"
                    assert len(camera.cameras()) == 1
            with pytest.raises(
                CameraError, match=r"which camera.* acA4096-40um 40000001 at .*/1\.\w+\.sock; IDS"
            ):
                gadget.connect()
            with pytest.raises(CameraError, match="no camera 'wrong': acA4096"):
                gadget.connect("wrong")
            assert [state["serial"] for _, state in running()] == ["40000001", "5"]


def test_a_program_that_was_started_for_a_camera_finds_it(
    served: ControlServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(places.VARIABLE, str(served.path))
    with gadget.connect() as camera:
        assert camera.path == served.path


def test_nobody_there_and_nobody_any_more(tmp_path: Path) -> None:
    with pytest.raises(CameraError, match="no camera answers: No such file"):
        gadget.connect(path=tmp_path / "no")
    with controlled(tmp_path / "c"):
        camera = gadget.connect(path=tmp_path / "c")
    with pytest.raises(CameraError, match="the camera's process has ended"):
        camera.state()
    camera.close()


@pytest.mark.parametrize("answer", [b"nonsense\n", b"5\n", b'{"id":1}\n'])
def test_an_answer_that_is_none_is_told_so(answer: bytes, tmp_path: Path) -> None:
    listener = places.listen(tmp_path / "c")
    listener.setblocking(True)
    with gadget.connect(path=tmp_path / "c") as camera:
        sock, _ = listener.accept()
        sock.sendall(answer)
        with pytest.raises(CameraError, match=r"not JSON|neither an answer nor a notification"):
            camera.state()
        sock.close()
    listener.close()


def test_an_answer_without_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "MAX_ANSWER_BYTES", 1000)
    listener = places.listen(tmp_path / "c")
    listener.setblocking(True)
    with gadget.connect(path=tmp_path / "c") as camera:
        sock: socket.socket = listener.accept()[0]
        sock.sendall(b"x" * 2000)
        with pytest.raises(CameraError, match="a line of more than 1000 bytes"):
            camera.state()
        sock.close()
    listener.close()
