"""A composite USB gadget in configfs: made, bound to a controller, removed, also what a killed process has left.

`/sys/kernel/config/usb_gadget/NAME` is a directory whose files are attributes; see
Documentation/usb/gadget_configfs.rst of Linux. State is the kernel's. Always true: a gadget named after a controller is
ours, and whoever holds the lock of that controller may remove it.
"""

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/kernel/config/usb_gadget")
LANGUAGE = "0x409"
_STRINGS = ("manufacturer", "product", "serialnumber")
"""In the order in which the kernel gives them the string indices 1, 2, 3."""


@dataclass(frozen=True, slots=True)
class Gadget:
    """`name`: of its directory, and of its FunctionFS instance."""

    name: str
    root: Path = ROOT

    @property
    def path(self) -> Path:
        return self.root / self.name

    def make(self, attributes: Mapping[str, str], strings: tuple[str, str, str], power_ma: int) -> None:
        """Make it with one FunctionFS function. Raises OSError."""
        self.path.mkdir()
        for name, value in attributes.items():
            self._write(name, value)
        directory = self.path / "strings" / LANGUAGE
        directory.mkdir()
        for name, text in zip(_STRINGS, strings, strict=True):
            (directory / name).write_text(text)
        configuration = self.path / "configs" / "c.1"
        configuration.mkdir()
        (configuration / "bmAttributes").write_text("0x80" if power_ma else "0xc0")
        (configuration / "MaxPower").write_text(str(power_ma))
        function = self.path / "functions" / f"ffs.{self.name}"
        function.mkdir()
        (configuration / function.name).symlink_to(function)

    def bind(self, controller: str) -> None:
        """Show it to the host at this controller."""
        self._write("UDC", controller)

    @property
    def bound_to(self) -> str:
        """The controller, "" for none."""
        try:
            return (self.path / "UDC").read_text().strip()
        except OSError:
            return ""

    def remove(self) -> None:
        """Whatever there is of it, whoever made it."""
        if not self.path.is_dir():
            return
        if self.bound_to:
            with contextlib.suppress(OSError):
                self._write("UDC", "\n")
        for link in self.path.glob("configs/*/*"):
            if link.is_symlink():
                link.unlink()
        for pattern in ("configs/*/strings/*", "configs/*", "functions/*", "strings/*"):
            for directory in self.path.glob(pattern):
                with contextlib.suppress(OSError):
                    directory.rmdir()
        self.path.rmdir()

    def _write(self, name: str, value: str) -> None:
        fd = os.open(self.path / name, os.O_WRONLY)
        try:
            os.write(fd, value.encode())
        finally:
            os.close(fd)
