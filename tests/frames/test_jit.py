"""Where machine code is kept."""

from pathlib import Path

import numba
import pytest
from numba.core.caching import UserProvidedCacheLocator

from frames import _jit

OURS = UserProvidedCacheLocator.get_suitable_cache_subpath(_jit.__file__)


@pytest.fixture(autouse=True)
def cache_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user whose cache directory this is, and who has not said anything to numba."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def test_it_is_in_the_users_cache_directory(cache_home: Path) -> None:
    assert _jit.choose_cache() == cache_home / "u3v" / "numba"
    assert (cache_home / "u3v" / "numba").is_dir()


def test_it_is_where_numba_was_told(cache_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(cache_home / "elsewhere"))
    assert _jit.choose_cache() == cache_home / "elsewhere"


def test_u15_what_cannot_be_written_is_copied(cache_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """U15: in a guest, or for a user without a home, what was compiled before serves once more."""
    kept = _jit.choose_cache()
    (kept / OURS).mkdir()
    (kept / OURS / "noise.nbi").write_bytes(b"an index")
    monkeypatch.setattr(_jit, "_writable", lambda folder: False)
    copy = _jit.choose_cache()
    assert copy != kept
    assert (copy / OURS / "noise.nbi").read_bytes() == b"an index"


def test_nothing_to_copy_is_no_mistake(cache_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (cache_home / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home / "file"))
    assert list(_jit.choose_cache().iterdir()) == []
