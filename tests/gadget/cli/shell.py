"""Type a command line at `u3v`, in this process: the exit code and what was printed."""

from collections.abc import Callable
from dataclasses import dataclass
from unittest import mock

import pytest

from gadget.cli.main import main

COMPILING = "u3v: preparing the sensor engine (once per machine) ...\n"


@dataclass(frozen=True)
class Result:
    status: object
    out: str
    err: str


Shell = Callable[..., Result]


@pytest.fixture
def u3v(capsys: pytest.CaptureFixture[str]) -> Shell:
    def run(*arguments: str) -> Result:
        with mock.patch("sys.argv", ["u3v", *arguments]), pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return Result(ended.value.code, printed.out, printed.err.replace(COMPILING, ""))

    return run
