"""Controllers, on a sysfs made of files."""

from pathlib import Path

import pytest

from gadget.udc.controllers import choose, controllers
from u3v.errors import U3VError
from u3v.wire.usb import Speed


def udc(root: Path, name: str, speed: str = "high-speed", user: str = "") -> None:
    (root / name).mkdir(parents=True)
    for file, text in (("maximum_speed", speed), ("current_speed", "UNKNOWN"), ("state", "not attached")):
        (root / name / file).write_text(f"{text}\n")
    (root / name / "function").write_text(user)


def test_what_there_is(tmp_path: Path) -> None:
    udc(tmp_path, "fe980000.usb")
    udc(tmp_path, "fc000000.usb", "super-speed-plus", "g_mass_storage")
    first, second = controllers(tmp_path)
    assert (first.name, first.speed, first.user) == ("fc000000.usb", Speed.SUPER, "g_mass_storage")
    assert (second.name, second.speed, second.user) == ("fe980000.usb", Speed.HIGH, "")
    assert (second.current_speed, second.state) == (None, "not attached")
    (second.path / "current_speed").write_text("high-speed\n")
    assert second.current_speed is Speed.HIGH


def test_the_first_that_is_free(tmp_path: Path) -> None:
    for name, user in (("a", "acm"), ("b", ""), ("c", "")):
        udc(tmp_path, name, user=user)
    assert choose("", set(), tmp_path).name == "b"
    assert choose("", {"b"}, tmp_path).name == "c"
    assert choose("c", set(), tmp_path).name == "c"


@pytest.mark.parametrize(
    ("name", "taken", "said"),
    [
        (
            "dummy_udc.1",
            set(),
            "--udc 'dummy_udc.1': there is dummy_udc.0, slow, used, did you mean 'dummy_udc.0'?",
        ),
        ("used", set(), "USB device controller used is in use by g1: unbind that first"),
        ("", {"dummy_udc.0", "slow"}, "in use by another camera of this command"),
        ("slow", set(), "slow is slower than High-Speed: no USB3 Vision there"),
    ],
)
def test_one_line_for_each_lack(tmp_path: Path, name: str, taken: set[str], said: str) -> None:
    udc(tmp_path, "dummy_udc.0")
    udc(tmp_path, "used", user="g1")
    udc(tmp_path, "slow", "full-speed")
    with pytest.raises(U3VError) as error:
        choose(name, taken, tmp_path)
    assert said in str(error.value)


def test_none_at_all(tmp_path: Path) -> None:
    with pytest.raises(U3VError, match=r"dtoverlay=dwc2,dr_mode=peripheral in config\.txt"):
        choose("", set(), tmp_path / "udc")
