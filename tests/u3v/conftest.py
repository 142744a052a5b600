import pytest

from tests.u3v.rig import Host


@pytest.fixture
def host() -> Host:
    """A configured camera of 40 x 30 pixels at SuperSpeed, and its host."""
    return Host()
