"""Which of these tests may share the processors with others (scripts/test).

`guest` is for tests whose programs run in a kernel of their own (scripts/uml, scripts/vm) and are made for busy
machines: one process runs all of them, one after the other. `patient` is for tests that mind no busy machine. All
others have the machine to themselves: they measure time, or their clients have short deadlines.
"""

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("guest"):
            item.add_marker(pytest.mark.xdist_group("guests"))
        elif HERE in item.path.parents and not item.get_closest_marker("patient"):
            item.add_marker(pytest.mark.alone)
