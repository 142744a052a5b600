"""The control socket as any program sees it: raw lines in, lines out, whatever arrives."""

import errno
import inspect
import json
import os
import random
import socket
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from gadget.control import places, protocol, server
from gadget.control.server import ControlServer
from gadget.front_door.live import VERBS, LiveCamera
from gadget.runner import CameraSpec
from gadget.time.accepting import PAUSE_NS
from gadget.time.loop import Loop
from tests.gadget.control.rig import controlled
from u3v.errors import U3VError


class Raw:
    """A program that speaks lines."""

    def __init__(self, path: Path) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(30)
        self.sock.connect(str(path))
        self.file = self.sock.makefile("rb")

    def close(self) -> None:
        self.file.close()
        self.sock.close()

    def line(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.file.readline())
        return answer

    def send(self, data: bytes) -> dict[str, Any]:
        self.sock.sendall(data)
        return self.line()

    def ask(self, method: str, **params: Any) -> Any:
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return self.send(json.dumps(request).encode() + b"\n")

    def result(self, method: str, **params: Any) -> Any:
        answer = self.ask(method, **params)
        assert "result" in answer, answer
        return answer["result"]

    def error(self, method: str, **params: Any) -> tuple[int, str]:
        answer = self.ask(method, **params)
        assert "error" in answer, answer
        return answer["error"]["code"], answer["error"]["message"]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlServer]:
    with controlled(tmp_path_factory.mktemp("control") / "c.sock") as running:
        yield running


@pytest.fixture
def raw(served: ControlServer) -> Iterator[Raw]:
    made = Raw(served.path)
    yield made
    made.close()


def test_the_socket_is_its_users_alone(served: ControlServer) -> None:
    assert stat.S_IMODE(served.path.stat().st_mode) == 0o600


def test_u16_features_of_a_running_camera(raw: Raw) -> None:
    assert raw.result("set", name="ExposureTime", value=2000) == 2000
    assert raw.result("get", name="ExposureTime") == 2000
    assert raw.result("get", name="TriggerMode", selectors={"TriggerSelector": "FrameStart"}) == "Off"
    assert "Width" in raw.result("names")
    assert raw.result("describe", name="Width")["max"] == 4112
    assert raw.result("execute", name="AcquisitionStop") is None


def test_a_refusal_carries_the_status_that_a_host_would_get(raw: Raw) -> None:
    answer = raw.ask("set", name="Width", value=65)
    assert answer["error"] == {
        "code": protocol.REFUSED,
        "message": "Width = 65: must be 8 to 4112 px in steps of 4",
        "data": {"status": "INVALID_PARAMETER"},
    }


def test_a_wrong_verb_is_suggested_the_right_one(raw: Raw) -> None:
    assert raw.error("unplgu") == (protocol.METHOD_NOT_FOUND, "no verb 'unplgu', did you mean 'unplug'?")
    assert raw.error("get", nam="Width") == (protocol.REFUSED, "get takes name, selectors, not nam")
    assert raw.error("subscribe", wat=1)[1] == "subscribe takes what, not 'wat', did you mean 'what'?"


def test_verbs_may_be_written_as_on_the_command_line(raw: Raw) -> None:
    assert raw.result("wait-for", what="plugged") == {"what": "plugged"}


def test_bad_json_gets_an_error_object_and_the_camera_lives_on(raw: Raw) -> None:
    answer = raw.send(b"{nonsense\n")
    assert (answer["id"], answer["error"]["code"]) == (None, protocol.PARSE_ERROR)
    assert raw.send(b'{"jsonrpc":"2.0","id":4}\n')["error"]["code"] == protocol.INVALID_REQUEST
    assert raw.result("state")["state"] == "plugged"


def test_an_endless_line_is_refused_before_it_is_kept(raw: Raw) -> None:
    for _ in range(20):
        raw.sock.sendall(b"x" * 65536)
    assert "a line of more than 65536 bytes" in raw.line()["error"]["message"]
    raw.sock.sendall(b"\n")
    assert raw.result("state")["state"] == "plugged"


def test_nothing_that_arrives_ends_the_camera(raw: Raw, caplog: pytest.LogCaptureFixture) -> None:
    chance = random.Random(7)
    values: list[Any] = [
        None,
        5,
        -1,
        1e300,
        "x",
        "",
        [],
        [1],
        {},
        {"a": []},
        True,
        "Width",
        "FrameStart",
        2**70,
    ]
    takes = {verb: list(inspect.signature(getattr(LiveCamera, f"_{verb}")).parameters)[1:] for verb in VERBS}
    takes |= {"wait_for": ["what", "timeout_s"], "subscribe": ["what"]}
    verbs = [*VERBS, *server.OWN_VERBS, "nonsense"]
    for _ in range(2000):
        verb = chance.choice(verbs)
        names = [name for name in [*takes.get(verb, []), "camera"] if chance.random() < 0.8]
        params = {name: chance.choice(values) for name in names}
        if "line" in params and chance.random() < 0.7:
            params["line"] = chance.choice(("Line1", "Line2"))
        answer = raw.ask(verb, **params)
        while answer.get("method") == "happened":
            answer = raw.line()
        assert answer.get("error", {}).get("code") != protocol.INTERNAL_ERROR, (verb, params, answer)
    raw.ask("clear_faults")
    raw.ask("replug")
    raw.ask("supply", volts=5, cable_ohm=0, load_ma=0, port_ma=900)
    raw.ask("replug")
    assert raw.ask("state")["result"]["state"] == "plugged"


def test_supply_and_heat_and_cable(raw: Raw) -> None:
    raw.result("unplug")  # whatever other tests have left: no reset is still to come
    raw.result("replug")
    assert "brown-out" in raw.result("supply", volts=4)["fault"]
    assert raw.result("wait_for", what="unplugged", timeout_s=20) == {"what": "unplugged"}
    raw.result("supply", volts=5)
    raw.result("replug")
    assert raw.result("state")["state"] == "plugged"
    assert raw.result("ambient", ambient_c=40)["ambient_c"] == 40
    assert raw.result("scene", scene="bar") == "bar"
    assert raw.result("counters")["bus_drops"] >= 1
    assert any("brown-out" in line for line in raw.result("history")["happenings"])


def test_waiting_too_long_is_an_error_of_its_own(raw: Raw) -> None:
    code, message = raw.error("wait_for", what="frame 100000", timeout_s=0.02)
    assert (code, message) == (protocol.TIMED_OUT, "acA4096-40um 40000001: no frame 100000 within 0.02 s")
    assert raw.error("wait_for", what="plugged", timeout_s="x")[0] == protocol.REFUSED


def test_answers_to_other_requests_come_while_one_waits(raw: Raw) -> None:
    raw.sock.sendall(b'{"jsonrpc":"2.0","id":"w","method":"wait_for","params":{"what":"unplugged"}}\n')
    assert raw.result("state")["state"] == "plugged"
    raw.sock.sendall(b'{"jsonrpc":"2.0","id":"u","method":"unplug"}\n')
    assert {raw.line()["id"], raw.line()["id"]} == {"w", "u"}
    raw.result("replug")


def test_a_notification_gets_no_answer(raw: Raw) -> None:
    raw.sock.sendall(b'{"jsonrpc":"2.0","method":"set","params":{"name":"Gain","value":5}}\n')
    assert raw.result("get", name="Gain") == 5


def test_who_waits_and_hangs_up_leaves_nothing_behind(served: ControlServer, raw: Raw) -> None:
    def listeners() -> int:
        return sum(map(len, served.cameras[0].built.camera.happenings._listeners.values()))

    assert raw.result("state")
    before = listeners()
    other = Raw(served.path)
    other.sock.sendall(b'{"jsonrpc":"2.0","id":1,"method":"wait_for","params":{"what":"FrameEnd"}}\n')
    other.result("subscribe")
    assert listeners() > before
    other.close()
    while len(served.connections) > 1:
        raw.result("state")
    assert listeners() == before
    assert served.waits._waits == []


def test_a_process_without_descriptors_looks_away_from_the_socket(tmp_path: Path) -> None:
    """Else the loop would turn without a pause for as long as somebody waits there."""
    now_ns = calls = 0
    loop = Loop(lambda: now_ns)

    def accept(self: socket.socket) -> object:
        nonlocal calls
        calls += 1
        raise OSError(errno.EMFILE, "Too many open files")

    with ControlServer(loop, [], tmp_path / "c.sock") as control:
        waiting = Raw(control.path)
        with mock.patch.object(socket.socket, "accept", accept):
            for _ in range(10):
                loop.step(0)
        assert calls == 1
        now_ns += PAUSE_NS
        for _ in range(2):
            loop.step(0)
        assert len(control.connections) == 1
        waiting.close()
    loop.close()


def test_too_many_connections_are_turned_away(served: ControlServer, raw: Raw) -> None:
    assert raw.result("state")
    others = [Raw(served.path) for _ in range(server.MAX_CONNECTIONS)]
    turned_away = [other for other in others if not _answers(other)]
    assert len(turned_away) >= 1
    for other in others:
        other.close()
    assert raw.result("state")


def _answers(raw: Raw) -> bool:
    try:
        return "result" in raw.ask("state")
    except (OSError, ValueError):
        return False


def test_another_user_is_turned_away(
    served: ControlServer, raw: Raw, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert raw.result("state")
    monkeypatch.setattr(server, "_CREDENTIALS", _Foreign())
    stranger = Raw(served.path)
    assert not _answers(stranger)
    stranger.close()
    assert "of user 4242 is refused" in caplog.text
    assert raw.result("state"), "who was there before goes on"


class _Foreign:
    size = server._CREDENTIALS.size

    def unpack(self, raw: bytes) -> tuple[int, int, int]:
        pid, _, gid = struct.unpack("3i", raw)
        return pid, 4242, gid


def test_who_does_not_read_is_not_listened_to_and_costs_no_memory(served: ControlServer, raw: Raw) -> None:
    deaf = Raw(served.path)
    deaf.sock.setblocking(False)
    line = b'{"jsonrpc":"2.0","id":1,"method":"names"}\n' * 50
    sent = 0
    try:
        while sent < 20_000_000:
            sent += deaf.sock.send(line)
            raw.result("state")
            assert max(len(each._unsent) for each in served.connections) < 2 * server.MAX_UNSENT_BYTES
    except BlockingIOError:
        pass
    assert sent < 20_000_000, "it goes on being listened to"
    deaf.sock.settimeout(30)
    for _ in range(sent // len(line) * 50):
        assert "result" in deaf.line()
    deaf.close()


def test_several_cameras_are_told_apart(tmp_path: Path) -> None:
    specs = [CameraSpec("acA4096-40um"), CameraSpec("acA4096-40um", serial="7", name="left")]
    with controlled(tmp_path / "c", *specs):
        raw = Raw(tmp_path / "c")
        assert raw.error("state")[1] == "which camera? one of 40000001, 7"
        assert raw.error("state", camera="8")[1] == "no camera '8': one of 40000001, 7"
        assert {raw.result("state", camera=which)["serial"] for which in (1, "1", "7", "left")} == {"7"}
        assert [each["serial"] for each in raw.result("cameras")] == ["40000001", "7"]
        raw.close()


def test_a_clock_in_lockstep_is_moved_and_waits_and_happenings_are_told(tmp_path: Path) -> None:
    spec = CameraSpec("acA4096-40um", clock="lockstep", settings={"Width": "64", "Height": "32"})
    with controlled(tmp_path / "c", spec):
        raw = Raw(tmp_path / "c")
        assert raw.result("subscribe", what=["ExposureEnd", "FrameStart"]) == ["ExposureEnd", "FrameStart"]
        assert "did you mean 'FrameStart'?" in raw.error("subscribe", what=["FrameStrat"])[1]
        raw.sock.sendall(b'{"jsonrpc":"2.0","id":9,"method":"wait_for","params":{"what":"ExposureEnd"}}\n')
        raw.sock.sendall(
            b'{"jsonrpc":"2.0","id":8,"method":"execute","params":{"name":"AcquisitionStart"}}\n'
        )
        raw.sock.sendall(b'{"jsonrpc":"2.0","id":7,"method":"advance","params":{"duration":"15ms"}}\n')
        told, answers = [], {}
        while len(answers) < 3 or len(told) < 3:
            line = raw.line()
            if "id" in line:
                answers[line["id"]] = line["result"]
            else:
                assert line["method"] == "happened"
                told.append((line["params"]["what"], line["params"]["at_ns"]))
        assert answers[9]["at_ns"] == 10_000_000
        assert told[0] == ("FrameStart", 0)
        assert ("ExposureEnd", 10_000_000) in told
        raw.result("unsubscribe")
        raw.close()


def test_a_clock_that_goes_by_itself_cannot_be_moved(raw: Raw) -> None:
    assert "clock goes by itself" in raw.error("advance", duration="1ms")[1]


def test_the_socket_is_removed_at_the_end_but_not_somebody_elses(tmp_path: Path) -> None:
    path = tmp_path / "c"
    with controlled(path):
        assert path.is_socket()
    assert not path.exists()
    with controlled(path):
        path.unlink()
        path.write_text("mine")
    assert path.read_text() == "mine"


def test_a_socket_in_use_a_file_and_a_long_path_are_refused(served: ControlServer, tmp_path: Path) -> None:
    with pytest.raises(U3VError, match="another camera is there already"):
        places.listen(served.path)
    (tmp_path / "file").write_text("")
    with pytest.raises(U3VError, match="is there already, and is no socket"):
        places.listen(tmp_path / "file")
    with pytest.raises(U3VError, match="longer than the 107 bytes"):
        places.listen(tmp_path / ("x" * 120))
    with pytest.raises(U3VError, match="No such file or directory"):
        places.listen(tmp_path / "no" / "c")


def test_what_a_killed_process_left_is_cleaned_up(
    served: ControlServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    place = places.directory()
    assert (place.name, stat.S_IMODE(place.stat().st_mode)) == ("u3v", 0o700)
    ending = places._ending()
    for name in (f"1{ending}", "3.00000000.sock"):
        places.listen(place / name).close()
    (place / f"2{ending}").symlink_to(served.path)
    assert places.clean(place) == [place / f"2{ending}"]
    assert sorted(path.name for path in place.iterdir()) == [f"2{ending}", "3.00000000.sock"], (
        "another kernel's"
    )
    assert places.default_path() == place / f"{os.getpid()}{ending}"
    assert places.process_of(places.default_path()) == str(os.getpid())
    for _ in range(2):
        places.listen(place / f"4{ending}").close()


def test_a_directory_that_others_can_enter_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "u3v").mkdir(mode=0o755)
    with pytest.raises(U3VError, match="is not a directory of yours alone; say where: --control PATH"):
        places.directory()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "missing"))
    assert places._runtime_directory() != tmp_path / "missing" / "u3v"
