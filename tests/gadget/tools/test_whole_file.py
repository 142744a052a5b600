"""A file gets its name when it is whole."""

from pathlib import Path

import pytest

from gadget.tools.whole_file import whole_file


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
