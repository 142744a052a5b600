"""Files that people look at get their name when they are whole: a full disk or a kill leaves no half of one."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from u3v.errors import Mistake


def check_place(path: Path) -> None:
    """To be asked before a long computation: can there be a file of this name? Raises Mistake, one line."""
    folder = path.absolute().parent
    if path.is_dir():
        raise Mistake(f"{path}: is a directory; give the name of a file")
    if not folder.is_dir():
        raise Mistake(f"{path}: there is no directory {folder}")
    if not path.exists() and not os.access(folder, os.W_OK | os.X_OK):
        raise Mistake(f"{path}: the directory {folder} cannot be written to")


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Where to write meanwhile. What is there is called `path` in the end, or is gone after an exception. A link
    stays one; what is no file (a pipe, a terminal, /dev/null) is written to as it is.

    Raises OSError, which names `path`.
    """
    is_special = path.exists() and not path.is_file()
    whole = Path(os.path.realpath(path))
    part = path if is_special else whole.with_name(whole.name + ".part")
    try:
        yield part
        if not is_special:
            part.replace(whole)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        if not is_special:
            with contextlib.suppress(OSError):
                part.unlink()
