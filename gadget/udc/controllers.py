"""The USB device controllers of this machine, as /sys/class/udc shows them."""

from dataclasses import dataclass
from pathlib import Path

from u3v.did_you_mean import hint
from u3v.errors import U3VError
from u3v.wire.usb import Speed

SYSFS = Path("/sys/class/udc")
_SPEEDS = {
    "super-speed-plus": Speed.SUPER,
    "super-speed": Speed.SUPER,
    "high-speed": Speed.HIGH,
}
NO_CONTROLLER = (
    "this machine has no USB device controller (/sys/class/udc is empty): a Raspberry Pi needs "
    "dtoverlay=dwc2,dr_mode=peripheral in config.txt and a reboot, another board a port in peripheral or OTG mode; "
    "for trying out, `modprobe dummy_hcd is_super_speed=1` makes one"
)


@dataclass(frozen=True, slots=True)
class Controller:
    """One UDC. `speed`: the fastest it can; None where that is below High-Speed. `user`: who has it, "" for nobody."""

    name: str
    path: Path
    speed: Speed | None
    user: str

    @property
    def current_speed(self) -> Speed | None:
        """Of the link, now; None where there is none, or a slower one."""
        return _SPEEDS.get(_text(self.path / "current_speed"))

    @property
    def state(self) -> str:
        """ "not attached", "configured", "suspended", ... as Linux says it."""
        return _text(self.path / "state")


def controllers(sysfs: Path = SYSFS) -> list[Controller]:
    """All of them, by name."""
    return [
        Controller(path.name, path, _SPEEDS.get(_text(path / "maximum_speed")), _text(path / "function"))
        for path in sorted(sysfs.glob("*"))
    ]


def choose(name: str, taken: set[str], sysfs: Path = SYSFS) -> Controller:
    """The controller of that name, or ("") the first that is free and not in `taken`. Raises U3VError."""
    found = controllers(sysfs)
    if not found:
        raise U3VError(NO_CONTROLLER)
    names = [each.name for each in found]
    if name:
        if name not in names:
            raise U3VError(f"--udc {name!r}: there is {', '.join(names)}{hint(name, names)}")
        wanted = [each for each in found if each.name == name]
    else:
        wanted = [each for each in found if not each.user and each.name not in taken] or found
    controller = wanted[0]
    if controller.user or controller.name in taken:
        user = controller.user or "another camera of this command"
        raise U3VError(f"USB device controller {controller.name} is in use by {user}: unbind that first")
    if controller.speed is None:
        raise U3VError(
            f"USB device controller {controller.name} is slower than High-Speed: no USB3 Vision there"
        )
    return controller


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
