"""A file gets its name when it is whole."""

import os
from pathlib import Path

import pytest

from gadget.whole_file import check_place, whole_file
from u3v.errors import Mistake


def test_the_name_comes_last(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("the one before")
    with whole_file(path) as part:
        part.write_text("half of it")
        assert path.read_text() == "the one before"
    assert path.read_text() == "half of it" and list(tmp_path.iterdir()) == [path]


def test_half_a_file_is_none(tmp_path: Path) -> None:
    def write() -> None:
        with whole_file(tmp_path / "report.html") as part:
            part.write_text("half of it")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_told_with_the_name_that_a_person_gave(tmp_path: Path) -> None:
    path = tmp_path / "report.html"

    def write() -> None:
        with whole_file(path):
            Path("/dev/full").write_text("all of it")

    with pytest.raises(OSError) as caught:
        write()
    assert (caught.value.filename, caught.value.strerror) == (str(path), "No space left on device")


def test_what_is_no_file_is_written_to(tmp_path: Path) -> None:
    """`u3v conform --json /dev/null` must not make a file of it, not even for root."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    end = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    with whole_file(path) as part:
        part.write_text("all of it")
    assert os.read(end, 100) == b"all of it"
    os.close(end)
    assert path.is_fifo() and list(tmp_path.iterdir()) == [path]


def test_a_link_stays_one(tmp_path: Path) -> None:
    path, target = tmp_path / "latest.json", tmp_path / "today.json"
    path.symlink_to(target.name)
    with whole_file(path) as part:
        part.write_text("all of it")
    assert path.is_symlink() and target.read_text() == "all of it"


def test_a_place_that_cannot_be_is_said_beforehand(tmp_path: Path) -> None:
    check_place(tmp_path / "report.html")
    check_place(Path("/dev/null"))
    with pytest.raises(Mistake, match="is a directory"):
        check_place(tmp_path)
    with pytest.raises(Mistake, match=f"there is no directory {tmp_path}/nowhere"):
        check_place(tmp_path / "nowhere" / "report.html")
