"""The unit tier is pure: no socket, two seconds a test."""

import pytest
from pytest_socket import disable_socket, enable_socket


@pytest.fixture(autouse=True)
def _no_network():
    """Refuse every socket but Unix ones for the length of a test."""
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()
