from __future__ import annotations

import pytest

from tests.docs.workshop import finish, furnish


@pytest.fixture(scope="session")
def workshop(tmp_path_factory):
    """The folder that examples are run in, made once; each test takes a copy of it."""
    folder = tmp_path_factory.mktemp("workshop")
    furnish(folder)
    finish(folder)
    return folder
