"""The camera as a USB gadget, on the kernel's dummy_hcd under User-Mode Linux: FunctionFS with scripts/f_fs's patch at
SuperSpeed; with U3V_GADGETFS=1 GadgetFS as it comes at High-Speed, too. Each test judges what a scenario of
gadget_guest.py found.

Not a part of the complete command yet, because in one of several runs a client stalls; run it by its name:
`scripts/test tests/system/gadget_checks.py`.
"""

import re
from collections.abc import Iterator

import pytest

from tests.system.gadgets import BACKENDS, CASES, STREAMS, Guests, each, only, output, warnings
from tests.system.programs import MODEL, check_aravis, objects

SPEEDS = {"functionfs": ("5000", "3.20", "720mA"), "gadgetfs": ("480", "2.00", "500mA")}


@pytest.fixture(scope="module")
def guests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guests]:
    guests = Guests(tmp_path_factory.mktemp("gadget"), [[name] for name in BACKENDS])
    yield guests
    guests.close()


@each
def test_enumerated(guests: Guests, backend: str) -> None:
    camera = only(guests.found(backend)["cameras"])
    assert (camera["speed"], camera["version"], camera["bMaxPower"]) == SPEEDS[backend]
    assert (camera["serial"], camera["product"]) == ("40000001", MODEL)


@each
def test_lsusb_sees_the_device_information_and_equal_control_endpoints(guests: Guests, backend: str) -> None:
    text = output(guests.found(backend)["lsusb"])
    assert text.count("** UNRECOGNIZED:  14 24 01 ") == 1
    assert "iFunction               9 USB3 Vision Device" in text
    endpoints = re.findall(r"bEndpointAddress +0x(\w\w)", text)[-4:]
    assert endpoints[:2] == ["01", "81"] and endpoints[2:] == {
        "functionfs": ["86", "8b"],  # of the controller's choice
        "gadgetfs": ["82", "83"],
    }[backend]  # fmt: skip


@each
def test_aravis_lists_it(guests: Guests, backend: str) -> None:
    assert re.fullmatch(r"Basler-2676\w+-40000001 \(USB3\)\n", output(guests.found(backend)["listed"]))


@each
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_aravis_frames(guests: Guests, backend: str, mode: str) -> None:
    results = objects(output(guests.found(backend)[mode]))
    assert len(results) == len(CASES)
    for result, case in zip(results, CASES, strict=True):
        assert (result["roi"], result["format"], result["mode"]) == (case["roi"], case["format"], mode)
        check_aravis([result], int(str(case["count"])))
        assert result["sizes"] == [result["payload"]]
        assert result["different"] == min(4, int(str(case["count"])))


@each
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_aravis_makes_streams_and_drops_them(guests: Guests, backend: str, mode: str) -> None:
    results = [one for one in objects(output(guests.found(backend)["streams"])) if one["mode"] == mode]
    assert len(results) == STREAMS // 5
    check_aravis(results, 2)


@each
def test_aravis_starts_and_stops_a_stream_fifty_times(guests: Guests, backend: str) -> None:
    check_aravis([only(objects(output(guests.found(backend)["restarts"])))], 2 * (STREAMS + 1))


@each
def test_aravis_is_killed_and_opens_again(guests: Guests, backend: str) -> None:
    """No kernel tells a gadget of halts: who opens the camera anew finds nothing locked all the same."""
    results = objects(output(guests.found(backend)["killed"]))
    assert [result["killed"] for result in results[::2]] == [-9, -9]
    check_aravis(results[1::2], 10)


@each
def test_the_end_is_clean(guests: Guests, backend: str) -> None:
    found = guests.found(backend)
    assert found["ended"]["status"] == 0, found["ended"]
    assert "Traceback" not in found["ended"]["stderr"]
    assert found["left"] == []
    assert warnings(found["kernel"]) == []
