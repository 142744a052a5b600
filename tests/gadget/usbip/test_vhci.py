"""Plugging, on a sysfs made of files."""

import errno
import os
import socket
from pathlib import Path

import pytest

from gadget.time.loop import Loop
from gadget.usb.device import UsbDevice
from gadget.usbip import vhci
from gadget.usbip.session import export
from tests.gadget.toy import Toy
from u3v.errors import U3VError
from u3v.wire.usb import Speed

# As Linux 6.12 prints it (two controllers of 2 + 2 ports).
STATUS = """\
hub port sta spd dev      sockfd local_busid
hs  0000 006 003 00010002 000003 1-1
hs  0001 004 000 00000000 000000 0-0
ss  0002 006 005 00010002 000006 2-1
ss  0003 006 005 00010003 000006 2-2
"""
STATUS_1 = """\
hub port sta spd dev      sockfd local_busid
hs  0004 004 000 00000000 000000 0-0
hs  0005 004 000 00000000 000000 0-0
ss  0006 005 000 00000000 000000 0-0
ss  0007 004 000 00000000 000000 0-0
"""


@pytest.fixture
def sysfs(tmp_path: Path) -> Path:
    (tmp_path / "status").write_text(STATUS)
    (tmp_path / "status.1").write_text(STATUS_1)
    (tmp_path / "status.10").write_text(STATUS_1.replace("0007", "0079"))
    (tmp_path / "attach").touch()
    (tmp_path / "detach").touch()
    return tmp_path


class TestPorts:
    def test_over_all_controllers(self, sysfs: Path) -> None:
        assert vhci.read_free_ports(Speed.HIGH, sysfs) == [1, 4, 5, 4, 5]
        assert vhci.read_free_ports(Speed.SUPER, sysfs) == [7, 79]

    @pytest.mark.parametrize("text", ["", "nonsense\n", "ss 1\n", "ss x 004\n", STATUS.splitlines()[0]])
    def test_no_port(self, text: str) -> None:
        assert vhci.free_ports(text, Speed.SUPER) == []

    def test_no_module(self, tmp_path: Path) -> None:
        with pytest.raises(
            U3VError, match=r"no vhci-hcd in this kernel: `modprobe vhci-hcd` as root.*u3v run"
        ):
            vhci.read_free_ports(Speed.SUPER, tmp_path)

    def test_all_in_use(self, tmp_path: Path) -> None:
        (tmp_path / "status").write_text(STATUS)
        with socket.socket() as sock, pytest.raises(U3VError, match="all ss ports of vhci-hcd are in use"):
            vhci.attach(sock, 1, Speed.SUPER, tmp_path)


def refuse(monkeypatch: pytest.MonkeyPatch, *codes: int) -> list[str]:
    """Let the next writes fail with `codes`; what was written."""
    written: list[str] = []
    queue = list(codes)

    def write(path: Path, text: str) -> None:
        written.append(f"{path.name}: {text}")
        if queue and (code := queue.pop(0)):
            raise OSError(code, os.strerror(code))

    monkeypatch.setattr(vhci, "_write", write)
    return written


class TestAttach:
    def test_what_the_kernel_is_told(self, sysfs: Path) -> None:
        with socket.socket() as sock:
            assert vhci.attach(sock, 0x10002, Speed.SUPER, sysfs) == 7
            assert (sysfs / "attach").read_text() == f"7 {sock.fileno()} 65538 5"

    def test_high_speed(self, sysfs: Path) -> None:
        with socket.socket() as sock:
            assert vhci.attach(sock, 0x10002, Speed.HIGH, sysfs) == 1
            assert (sysfs / "attach").read_text() == f"1 {sock.fileno()} 65538 3"

    def test_somebody_was_faster(self, sysfs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        written = refuse(monkeypatch, errno.EBUSY, 0)
        with socket.socket() as sock:
            assert vhci.attach(sock, 1, Speed.SUPER, sysfs) == 79
            assert written == [f"attach: 7 {sock.fileno()} 1 5", f"attach: 79 {sock.fileno()} 1 5"]

    def test_not_root(self, sysfs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        refuse(monkeypatch, errno.EACCES)
        with socket.socket() as sock, pytest.raises(U3VError) as error:
            vhci.attach(sock, 1, Speed.SUPER, sysfs)
        assert str(error.value) == (
            "only root may plug a device in (vhci-hcd): use sudo; without it, `u3v run` gives the camera to one "
            "program, `u3v serve` to others over USB/IP"
        )

    def test_not_root_is_told_beforehand(self, sysfs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        vhci.check(sysfs)
        monkeypatch.setattr(os, "access", lambda path, mode: path != sysfs / "attach")
        with pytest.raises(U3VError, match="only root may plug a device in"):
            vhci.check(sysfs)

    def test_other_trouble(self, sysfs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        refuse(monkeypatch, errno.EINVAL)
        with (
            socket.socket() as sock,
            pytest.raises(U3VError, match="cannot plug a device in: Invalid argument"),
        ):
            vhci.attach(sock, 1, Speed.SUPER, sysfs)


class TestDetach:
    def test_free_already(self, sysfs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert refuse(monkeypatch, errno.EINVAL) == []
        vhci.detach(7, sysfs)

    def test_not_root(self, sysfs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        refuse(monkeypatch, errno.EACCES)
        with pytest.raises(U3VError, match="only root may unplug port 7"):
            vhci.detach(7, sysfs)


class TestPlug:
    def test_always_detaches(self, sysfs: Path) -> None:
        loop = Loop()
        exported = export(UsbDevice(Toy()))["1-1"]

        def interrupted() -> None:
            with vhci.plug(loop, exported, sysfs) as port:
                assert port == 7
                assert (sysfs / "attach").read_text().startswith("7 ")
                assert exported.session is not None
                assert (sysfs / "detach").read_text() == ""
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert (sysfs / "detach").read_text() == "7"
        assert exported.session is None
        loop.close()

    def test_unplugged_by_the_host(self, sysfs: Path) -> None:
        loop = Loop()
        exported = export(UsbDevice(Toy()))["1-1"]
        with vhci.plug(loop, exported, sysfs):
            loop.step(1)  # nobody holds the kernel's end here: end of file
            assert exported.session is None
        assert (sysfs / "detach").read_text() == ""  # the port may be somebody else's by now
        loop.close()

    def test_refused(self, sysfs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        loop = Loop()
        written = refuse(monkeypatch, errno.EACCES)
        exported = export(UsbDevice(Toy()))["1-1"]
        with pytest.raises(U3VError, match="only root may"), vhci.plug(loop, exported, sysfs):
            pass
        assert len(written) == 1
        assert exported.session is None
        loop.close()
