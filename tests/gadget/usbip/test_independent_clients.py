"""Clients that share no code with us: the host side of PyPI usbip, and Debian's usbip tool."""

import shutil
import subprocess

import pytest
import usbip.core
import usbip.host
from usbip.transport import USBIP

from tests.gadget.usbip.conftest import Served


class TestPyPiUsbip:
    def test_list(self, served: Served) -> None:
        devices = usbip.host.list_devices(USBIP("127.0.0.1", served.port))
        assert [device["busid"] for device in devices] == ["1-1", "1-2"]
        assert devices[0]["speed"] == 5
        assert devices[0]["interfaces"] == [(0xEF, 5, 0), (0xEF, 5, 1), (0xEF, 5, 2)]

    def test_control_and_bulk(self, served: Served) -> None:
        with usbip.host.open(0x1209, 1, transport=USBIP("127.0.0.1", served.port)) as handle:
            assert handle.device_descriptor.bcdUSB == 0x0300
            assert handle.device_descriptor.bMaxPacketSize0 == 9
            assert handle.control(0x80, 6, 0x0302, 0x0409, 255)[2:].decode("utf-16-le") == "Toy One"
            assert handle.bulk_out(0x01, b"hello") == 5
            assert handle.bulk_in(0x81, 1024) == b"hello"
            assert handle.bulk_in(0x83, 1 << 20) == served.toy().block
            with pytest.raises(usbip.core.Stall):
                handle.bulk_out(0x01, b"stall")
            handle.clear_halt(0x01)
            assert handle.bulk_out(0x01, b"again") == 5

    def test_several_devices(self, served: Served) -> None:
        transport = USBIP("127.0.0.1", served.port)
        one = usbip.host.open(busid="1-1", transport=transport)
        two = usbip.host.open(busid="1-2", transport=transport)
        with one, two:
            one.bulk_out(0x01, b"one")
            two.bulk_out(0x01, b"two")
            assert (one.bulk_in(0x81, 64), two.bulk_in(0x81, 64)) == (b"one", b"two")


def test_debian_usbip_list(served: Served) -> None:
    tool = shutil.which("usbip", path="/usr/sbin:/usr/bin:/sbin:/bin")
    if tool is None:
        pytest.skip("capability: the usbip tool")
    command = [tool, "--tcp-port", str(served.port), "list", "-r", "127.0.0.1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    assert "1-1: " in done.stdout
    assert "1-2: " in done.stdout
    assert "(1209:0001)" in done.stdout
    assert "/sys/devices/virtual/u3v/1-1" in done.stdout
    assert done.stdout.count("(ef/05/02)") == 2
