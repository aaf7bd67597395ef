"""What tests of whole commands share."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.e2e.user import User


@pytest.fixture
def user(tmp_path: Path) -> User:
    """Somebody at a shell, in an empty folder."""
    return User(tmp_path)
