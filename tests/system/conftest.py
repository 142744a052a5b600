"""Where tests run that share something: a file's booted kernel, or the addresses of GigE cameras."""

from pathlib import Path

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One after the other in one process: the tests of a file, and all those with cameras at 127.0.0.x:3956."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            name = item.path.stem
            item.add_marker(pytest.mark.xdist_group("gige" if name.startswith("test_gige") else name))
