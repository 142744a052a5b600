"""S2: what happens is told to whoever listens, whether or not the camera has an event for it."""

from tests.u3v.models import IDS, host_of
from tests.u3v.rig import MS, Host
from u3v.happenings import Happening, Happenings


def test_a_happening_without_an_event_is_heard() -> None:
    host = host_of(IDS)
    assert host.camera.family.events == {}
    seen: list[tuple[Happening, int, int]] = []
    host.camera.happenings.listen(lambda *what: seen.append(what), Happening.FRAME_START, Happening.FRAME_END)
    host.run("AcquisitionStart")
    host.bus.run(200 * MS)
    assert seen[0][0] is Happening.FRAME_START and {what for what, _, _ in seen} == {
        Happening.FRAME_START,
        Happening.FRAME_END,
    }
    assert [at for _, at, _ in seen] == sorted(at for _, at, _ in seen)


def test_a_listener_can_leave_and_hears_only_what_it_asked_for() -> None:
    happenings, heard = Happenings(), list[tuple[str, Happening]]()
    stop = happenings.listen(lambda what, _at, _id: heard.append(("one", what)), Happening.TEST)
    happenings.listen(lambda what, _at, _id: heard.append(("all", what)))
    happenings.tell(Happening.TEST, 5)
    happenings.tell(Happening.FRAME_END, 6)
    stop()
    stop()
    happenings.tell(Happening.TEST, 7)
    assert heard == [
        ("one", Happening.TEST),
        ("all", Happening.TEST),
        ("all", Happening.FRAME_END),
        ("all", Happening.TEST),
    ]


def test_the_life_of_a_frame_in_order() -> None:
    host = Host()
    seen: list[Happening] = []
    host.camera.happenings.listen(lambda what, _at, block: seen.append(what) if block == 0 else None)
    host.set("AcquisitionMode", "SingleFrame")
    host.start()
    host.frame()
    assert seen == [
        Happening.STREAM_START,
        Happening.ACQUISITION_START,
        Happening.FRAME_START,
        Happening.EXPOSURE_START,
        Happening.TIMER1_START,  # its source, until a host says otherwise
        Happening.TIMER1_END,
        Happening.EXPOSURE_END,
        Happening.FRAME_END,
        Happening.ACQUISITION_END,
        Happening.FRAME_TRANSFER_END,
    ]
