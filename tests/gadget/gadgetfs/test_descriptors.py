"""Blobs for GadgetFS, and which of a controller's endpoint files serve what."""

import struct

import pytest

from gadget.gadgetfs.descriptors import (
    EndpointFile,
    Event,
    choose_files,
    device_blob,
    endpoint_blob,
    events,
)
from tests.gadget.toy import IDENTITY
from u3v.errors import U3VError
from u3v.wire.usb import Speed, build_descriptors

HIGH = build_descriptors(IDENTITY, Speed.HIGH)
ENDPOINTS = (0x01, 0x81, 0x82, 0x83)
DUMMY = [
    "ep1in-bulk",
    "ep2out-bulk",
    "ep5in-int",
    "ep6in-bulk",
    "ep7out-bulk",
    "ep10in-int",
    "ep11in-bulk",
    "ep12out-bulk",
    "ep15in-int",
    "ep1out-bulk",
    "ep2in-bulk",
    "ep-aout",
    "ep-bin",
    "ep-cout",
    "ep-dout",
    "ep-ein",
]
DWC2 = [f"ep{number}{way}" for number in range(1, 8) for way in ("in", "out")]


@pytest.mark.parametrize(
    ("names", "files"),
    [
        (DUMMY, ["ep1out-bulk 01", "ep1in-bulk 81", "ep2in-bulk 82", "ep-bin 83"]),
        (DWC2, ["ep1out 01", "ep1in 81", "ep2in 82", "ep3in 83"]),
        (["ep1", "ep2", "ep3", "ep4"], None),
        (["ep1in-bulk", "ep2out-bulk", "ep6in-bulk", "ep11in-bulk"], ["ep2out-bulk 02", "ep1in-bulk 81"]),
    ],
)
def test_files_of_controllers(names: list[str], files: list[str] | None) -> None:
    if files is None:  # one file serves one way only, so four are too few for what has two ways at number 1
        chosen = choose_files(names, ENDPOINTS)
        assert sorted(file.name for file in chosen.values()) == names
        return
    chosen = choose_files(names, ENDPOINTS)
    assert [f"{file.name} {file.address:02x}" for _, file in sorted(chosen.items())][: len(files)] == files
    assert (
        len({file.address for file in chosen.values()}) == len({file.name for file in chosen.values()}) == 4
    )
    assert all((file.address & 0x80) == (address & 0x80) for address, file in chosen.items())


def test_too_few() -> None:
    with pytest.raises(U3VError, match="no endpoint left for 0x8"):
        choose_files(["ep1in-bulk", "ep1out-bulk", "ep5in-int"], ENDPOINTS)


def test_the_device() -> None:
    """Tag 0, Full-Speed configuration, High-Speed configuration, device descriptor
    (drivers/usb/gadget/legacy/inode.c)."""
    blob = device_blob(HIGH, {address: EndpointFile("", address) for address in ENDPOINTS})
    assert blob[:4] == bytes(4)
    full_bytes = struct.unpack_from("<H", blob, 6)[0]
    assert (blob[4], blob[5]) == (9, 2)
    assert blob[4 + full_bytes :] == HIGH.configuration + HIGH.device
    for configuration in (blob[4:], blob[4 + full_bytes :]):
        assert configuration[7] & 0x80 and not configuration[7] & 0x20  # what the kernel insists on


def test_endpoints_of_other_numbers() -> None:
    files = {address: EndpointFile("", address) for address in ENDPOINTS} | {
        0x83: EndpointFile("ep6in-bulk", 0x86)
    }
    assert bytes((7, 5, 0x86, 2)) in device_blob(HIGH, files)
    blob = endpoint_blob(HIGH, 0x83, files[0x83])
    assert blob == bytes.fromhex("01000000 0705860240 0000 07058602000200")


def test_events() -> None:
    setup = bytes.fromhex("00 09 0100 0000 0000")
    raw = (
        struct.pack("<II4x", 3, 1)[:0]
        + struct.pack("<8sI", b"\x03" + bytes(7), 1)
        + struct.pack("<8sI", setup, 3)
    )
    assert [(told.kind, told.setup) for told in events(raw)][1] == (Event.SETUP, setup)
    assert events(raw)[0].kind == Event.CONNECT
