"""Buckets in memory and of a server on this machine, and images in them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.addresses.stores import Bucket
from tests.attribution.on_disk import noise
from xattn.addresses import stores


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def s3(server: str, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATESTS")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-of-tests")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    return Bucket("s3")


@pytest.fixture(params=["memory", "s3"])
def bucket(request: pytest.FixtureRequest) -> Bucket:
    return request.getfixturevalue("s3") if request.param == "s3" else Bucket("memory")


@pytest.fixture(autouse=True)
def stores_of_one_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that one test opened is named by no user of the next."""
    monkeypatch.setattr(stores, "_stores", {})


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for i in range(7):
        noise(tmp_path / "data" / "images" / f"img_{i}.png", (60, 40 + i), seed=i)
    return tmp_path / "data" / "images"
