"""The camera as a USB gadget, on the kernel's dummy_hcd under User-Mode Linux: FunctionFS with scripts/f_fs's patch at
SuperSpeed, GadgetFS as it comes at High-Speed, FunctionFS as it comes. Each test judges what a scenario of
gadget_guest.py found.
"""

import re

import pytest

from tests.system.gadgets import CASES, STREAMS, Played, only, output, warnings
from tests.system.programs import MODEL, check_aravis, objects

pytestmark = pytest.mark.patient
each = pytest.mark.parametrize("backend", ["functionfs", "gadgetfs"])
LOST_CLAIM = "(arv_uv_stream) did not claim interface"
"""A reset takes their claims of interfaces from all programs (Linux, usb_reset_device: usbfs has no pre_reset). Aravis,
in the middle of its stream, goes on without, and the kernel says so. The camera has no part in it."""
SPEEDS = {"functionfs": ("5000", "3.20", "720mA"), "gadgetfs": ("480", "2.00", "500mA")}


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    return Played(tmp_path_factory.mktemp("gadget"), ["functionfs", "stock", "gadgetfs", "two"])


@each
def test_enumerated(played: Played, backend: str) -> None:
    camera = only(played.found(backend)["cameras"])
    assert (camera["speed"], camera["version"], camera["bMaxPower"]) == SPEEDS[backend]
    assert (camera["serial"], camera["product"]) == ("40000001", MODEL)


@each
def test_lsusb_sees_the_device_information_and_equal_control_endpoints(played: Played, backend: str) -> None:
    text = output(played.found(backend)["lsusb"])
    assert text.count("** UNRECOGNIZED:  14 24 01 ") == 1
    assert "iFunction               9 USB3 Vision Device" in text
    endpoints = re.findall(r"bEndpointAddress +0x(\w\w)", text)[-4:]
    assert endpoints[:2] == ["01", "81"] and endpoints[2:] == {
        "functionfs": ["86", "8b"],  # of the controller's choice
        "gadgetfs": ["82", "83"],
    }[backend]  # fmt: skip


@each
def test_aravis_lists_it(played: Played, backend: str) -> None:
    assert re.fullmatch(r"Basler-2676\w+-40000001 \(USB3\)\n", output(played.found(backend)["listed"]))


@each
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_aravis_frames(played: Played, backend: str, mode: str) -> None:
    results = objects(output(played.found(backend)[mode]))
    assert len(results) == len(CASES)
    for result, case in zip(results, CASES, strict=True):
        assert (result["roi"], result["format"], result["mode"]) == (case["roi"], case["format"], mode)
        check_aravis([result], int(str(case["count"])))
        assert result["sizes"] == [result["payload"]]
        assert result["different"] == min(4, int(str(case["count"])))


@each
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_aravis_makes_streams_and_drops_them(played: Played, backend: str, mode: str) -> None:
    results = [one for one in objects(output(played.found(backend)["streams"])) if one["mode"] == mode]
    assert len(results) == STREAMS // 10
    check_aravis(results, 2)


@each
def test_aravis_starts_and_stops_a_stream_fifty_times(played: Played, backend: str) -> None:
    check_aravis([only(objects(output(played.found(backend)["restarts"])))], 2 * (STREAMS + 1))


@each
def test_aravis_is_killed_and_opens_again(played: Played, backend: str) -> None:
    """No kernel tells a gadget of halts: who opens the camera anew finds nothing locked all the same."""
    results = objects(output(played.found(backend)["killed"]))
    assert [result["killed"] for result in results[::2]] == [-9]
    check_aravis(results[1::2], 10)


@each
@pytest.mark.parametrize(
    "when",
    [
        "after a reset",
        "after a clear-halt",
        "after a device reset",
        "after kill -9",
        "after late answers",
    ],
)
def test_a_client_grabs_after(played: Played, backend: str, when: str) -> None:
    check_aravis([only(objects(output(played.found(backend)[when])))], 10)


def test_answers_were_late(played: Played) -> None:
    """GadgetFS leaves the answers to this process; in FunctionFS the kernel gives them."""
    assert int(output(played.found("gadgetfs")["given up"])) > 0


def test_a_client_grabs_after_a_rebind(played: Played) -> None:
    """Of a gadget in configfs; GadgetFS has nothing of the kind."""
    check_aravis([only(objects(output(played.found("functionfs")["after a rebind"])))], 10)


@each
def test_the_end_is_clean(played: Played, backend: str) -> None:
    found = played.found(backend)
    assert (found["killed by us"], found["ended"]["status"]) == (-9, 0), found["ended"]
    assert "Traceback" not in found["ended"]["stderr"]
    assert found["left"] == []
    assert [line for line in warnings(found["kernel"]) if LOST_CLAIM not in line] == []


def test_two_gadgets_at_once(played: Played) -> None:
    found = played.found("two")
    ids, *results = objects(output(found["grabbed"]))
    assert len(set(ids["ids"])) == len(results) == 2
    for result in results:
        assert (
            result["frames"] >= 20
        )  # and as many more while both streamed, unless Aravis had lost one of those
        assert (result["bad"], result["gaps"], result["failures"]) == ([], 0, 0), result
    assert [ended["status"] for ended in found["ended"]] == [0, 0]
    told = "u3v: USB device controller dummy_udc.1 is in use by u3v.dummy_udc.1: unbind that first\n"
    assert (found["third"]["status"], found["third"]["stderr"]) == (2, told)


def test_stock_functionfs(played: Played) -> None:
    """What is lost is said, and who asks for it gets it."""
    found = played.found("stock")
    lines = output(found["check"]).splitlines()
    assert any(line.startswith("FunctionFS: refuses the U3V descriptor 0x24; scripts/f_fs") for line in lines)
    assert lines[-1].startswith("backend: gadgetfs: served by GadgetFS, at High-Speed")
    assert only(found["auto"]["cameras"])["speed"] == "480"
    assert (
        "refuses the descriptor 0x24 of USB3 Vision: served by GadgetFS" in found["auto"]["ended"]["stderr"]
    )
    asked = found["asked for"]
    assert only(asked["cameras"])["speed"] == "5000"
    assert "14 24 01" not in asked["lsusb"]["stdout"]
    assert "hosts miss the camera's GUID and names" in asked["ended"]["stderr"]
