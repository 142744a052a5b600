"""Which of these tests may share the processors with others (scripts/test).

`patient` is for tests that mind no busy machine, such as those whose programs run in a kernel of their own
(scripts/uml). All others have the machine to themselves: they measure time, or their clients have short deadlines.
"""

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents and not item.get_closest_marker("patient"):
            item.add_marker(pytest.mark.alone)
