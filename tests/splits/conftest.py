"""Splits are made of the same small folders of images that are trained on."""

from tests.training.conftest import one_thread, study, tiny_net  # noqa: F401
