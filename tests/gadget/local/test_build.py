"""Where the preload library comes from, and what is said when there is none."""

import shutil
import tempfile
from pathlib import Path

import pytest

from gadget.local import build
from gadget.local.build import PreloadError, choose


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    return tmp_path / "u3v"


def test_built_once(cache: Path) -> None:
    library = build.build()
    assert library.parent == cache
    stamp = library.stat().st_mtime_ns
    assert build.build() == library
    assert library.stat().st_mtime_ns == stamp
    assert [p.name for p in cache.iterdir()] == [library.name]


def test_needs_only_the_c_library() -> None:
    """Nothing in it may drag libudev or libusb into a program."""
    needed = [
        word for word in build.build().read_bytes().split(b"\0") if b".so" in word and word.startswith(b"lib")
    ]
    assert {word.split(b".so")[0] for word in needed} <= {b"libc", b"libdl", b"libpthread", b"libudev"}
    dynamic = [word for word in needed if word.startswith(b"libudev")]
    assert dynamic in ([], [b"libudev.so.1"])  # a name for dlopen


def test_no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(PreloadError, match="no C compiler"):
        choose("own")
    umockdev = Path("/usr/lib/libumockdev-preload.so.0")
    monkeypatch.setattr(build, "find_umockdev", lambda: umockdev)
    assert choose("auto") == (umockdev, False)
    monkeypatch.setattr(build, "find_umockdev", lambda: None)
    with pytest.raises(PreloadError) as caught:
        choose("auto")
    assert str(caught.value) == (
        "no C compiler (cc, gcc or clang) to build the preload library; libumockdev-preload.so.0 not found: "
        "install a C compiler or the package umockdev"
    )


def test_a_compiler_that_fails(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "false")
    with pytest.raises(PreloadError, match="false could not build the preload library: failed"):
        choose("own")
    monkeypatch.setenv("CC", "/no/such/cc -m64")
    with pytest.raises(PreloadError, match="/no/such/cc: No such file or directory"):
        choose("own")
    assert list(cache.iterdir()) == []


def test_a_cache_others_can_write_to_is_not_used(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.mkdir()
    cache.chmod(0o777)
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    library = build.build()
    assert library.parent.name.startswith("u3v-cache-")
    library.parent.chmod(0o777)
    with pytest.raises(PreloadError, match="no private cache directory"):
        build.build()


def test_compiles_without_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "_OPTIONS", (*build._OPTIONS, "-Wextra", "-Werror"))
    assert build.build().is_file()
