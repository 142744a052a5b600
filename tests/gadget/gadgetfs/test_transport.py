"""What a host configures, where the controller does not let an endpoint be opened."""

from pathlib import Path

import pytest

from gadget.gadgetfs.descriptors import EndpointFile
from gadget.gadgetfs.transport import GadgetFs
from gadget.time.loop import Loop
from gadget.udc.controllers import Controller
from gadget.usb.device import UsbDevice
from tests.gadget.toy import Toy
from u3v.wire.usb import CONTROL_IN, Speed

SET_CONFIGURATION_1, SET_CONFIGURATION_0 = bytes((0, 9, 1, 0, 0, 0, 0, 0)), bytes((0, 9, 0, 0, 0, 0, 0, 0))


def test_an_endpoint_that_cannot_be_opened_is_told_and_the_request_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []
    monkeypatch.setattr(GadgetFs, "_stall", lambda *_: said.append("stall"))
    monkeypatch.setattr(GadgetFs, "_acknowledge", lambda *_: said.append("acknowledge"))
    loop = Loop()
    gadget = GadgetFs(loop, UsbDevice(Toy()), Controller("some_udc.0", tmp_path, Speed.HIGH, ""))
    gadget._point = tmp_path
    gadget._chosen = {CONTROL_IN: EndpointFile("ep1in", CONTROL_IN)}
    try:
        gadget._setup(SET_CONFIGURATION_1)
        told = "u3v: endpoint 0x81 (ep1in) of some_udc.0 cannot be opened: No such file or directory\n"
        assert capsys.readouterr().err == told
        gadget._setup(SET_CONFIGURATION_0)
        assert said == ["stall", "acknowledge"] and capsys.readouterr().err == ""
    finally:
        gadget._endpoints.close()
        loop.close()
