"""Registries: names, duplicates, files that are found, plugins."""

from __future__ import annotations

import importlib
import pickle
import sys

import pytest

from xattn import plugins
from xattn.errors import UsageError
from xattn.registry import Registry, meaning_of

MODULE = """
from {package} import THINGS
THINGS.add("{name}", {value})
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with a registry, and three files that register."""
    home = tmp_path / "things_of_a_test"
    home.mkdir()
    (home / "__init__.py").write_text(
        "from xattn.registry import Registry\n"
        "THINGS = Registry('thing', package=__name__, first=['later'])\n"
    )
    for value, name in enumerate(["early", "later", "middle"]):
        text = MODULE.format(package=home.name, name=name, value=value)
        (home / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield home
    for name in [one for one in sys.modules if one.startswith(home.name)]:
        del sys.modules[name]


def things(package):
    return __import__(package.name).THINGS


def test_files_in_the_package_are_found_when_names_are_looked_at(package):
    assert f"{package.name}.early" not in sys.modules
    assert list(things(package)) == ["later", "early", "middle"]
    assert things(package)["middle"] == 2
    assert len(things(package)) == 3


def test_the_order_is_the_same_whichever_module_was_imported_first(package):
    for name in ("middle", "early"):
        importlib.import_module(f"{package.name}.{name}")
    things(package).add("from elsewhere", 5)
    assert list(things(package)) == ["later", "early", "middle", "from elsewhere"]


def test_a_file_that_is_dropped_in_is_found(package):
    text = MODULE.format(package=package.name, name="new", value=7)
    (package / "dropped.py").write_text(text)
    assert things(package).find("new") == 7


def test_a_name_is_registered_once():
    registry: Registry[int] = Registry("thing")
    registry.add("one", 1)
    with pytest.raises(UsageError, match="Expected a name that no other thing has, but got 'one'"):
        registry.add("one", 2)


def test_names_that_are_close_are_given_for_an_unknown_one():
    registry: Registry[int] = Registry("thing")
    registry.add("gradcam", 1)
    with pytest.raises(UsageError, match="Unknown thing 'gradcm'; did you mean 'gradcam'"):
        registry.find("gradcm")
    assert registry.get("gradcm") is None


def test_a_name_is_free_again_if_the_module_that_took_it_could_not_be_imported(tmp_path, package):
    file = tmp_path / "mine.py"
    text = MODULE.format(package=package.name, name="mine", value=9)
    file.write_text(text + "1 / 0")
    with pytest.raises(UsageError, match="ZeroDivisionError"):
        plugins.load_file(file)
    file.write_text(text)
    plugins.load_file(file)
    assert things(package)["mine"] == 9


def test_what_an_entry_is_stands_in_its_docstring_or_is_given():
    def told():
        """Two words.

        And many more.
        """

    def silent(): ...

    assert meaning_of(told) == "Two words."
    assert meaning_of(told, "Given.") == meaning_of(silent, "Given.") == "Given."
    with pytest.raises(UsageError, match=r"Expected a docstring of .*silent whose first line"):
        meaning_of(silent)


def test_a_decorator_registers_what_is_made_of_a_function_and_leaves_the_function():
    registry: Registry[str] = Registry("thing")

    @registry.register("double", make=lambda function: f"{function(2)}")
    def double(x):
        return 2 * x

    assert double(3) == 6
    assert registry["double"] == "4"


def test_a_module_that_cannot_be_imported_is_tried_again(package):
    broken = package / "broken.py"
    broken.write_text("1 / 0")
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            len(things(package))
    for name in ("early", "later", "middle"):
        sys.modules.pop(f"{package.name}.{name}", None)


class TestAPluginFile:
    def test_registers_like_a_file_of_the_package(self, tmp_path, package):
        file = tmp_path / "mine.py"
        file.write_text(MODULE.format(package=package.name, name="mine", value=9))
        assert plugins.load_file(file) == plugins.load_file(file)  # once
        assert things(package)["mine"] == 9

    def test_may_lie_elsewhere_when_what_was_pickled_of_it_is_read_again(self, tmp_path):
        file = tmp_path / "net_of_mine.py"
        file.write_text("class Net:\n    depth = 3\n")
        made = pickle.dumps(sys.modules[plugins.load_file(file)].Net())
        del sys.modules[plugins.load_file(file)]  # as in another process
        (tmp_path / "moved").mkdir()
        plugins.load_file(file.rename(tmp_path / "moved" / file.name))
        assert pickle.loads(made).depth == 3

    def test_does_not_take_the_place_of_another_of_its_name(self, tmp_path, package):
        files = [tmp_path / lab / "mine.py" for lab in ("one", "other", "third")]
        for value, (file, name) in enumerate(zip(files, ["a", "b", "a"], strict=True)):
            file.parent.mkdir()
            file.write_text(MODULE.format(package=package.name, name=name, value=value))
        for file in files[:2]:
            plugins.load_file(file)
        assert [things(package)[name] for name in "ab"] == [0, 1]
        with pytest.raises(UsageError, match="Expected a name that no other thing has, but got"):
            plugins.load_file(files[2])

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("1 / 0", "ZeroDivisionError: division by zero"),
            ("def", "SyntaxError"),
            ("import no_such_library", "ModuleNotFoundError: No module named 'no_such_library'"),
        ],
    )
    def test_that_cannot_be_imported_is_one_line(self, tmp_path, text, words):
        file = tmp_path / "mine.py"
        file.write_text(text)
        with pytest.raises(UsageError, match=words) as caught:
            plugins.load_file(file)
        assert "\n" not in str(caught.value)
        assert str(file) in str(caught.value)

    def test_that_is_not_there_is_named(self, tmp_path):
        with pytest.raises(UsageError, match="got nothing there"):
            plugins.load_file(tmp_path / "none.py")

    def test_that_is_no_python_is_named(self, tmp_path):
        (tmp_path / "mine.txt").write_text("")
        with pytest.raises(UsageError, match=r"ending in \.py"):
            plugins.load_file(tmp_path / "mine.txt")


def test_an_installed_plugin_that_cannot_be_imported_is_named(monkeypatch):
    class Broken:
        name, value = "my_lab", "my_lab.plugin"

        def load(self):
            raise ImportError("no my_lab")

    monkeypatch.setattr(plugins, "_installed", None)
    monkeypatch.setattr(plugins, "entry_points", lambda group: [Broken()])
    for _ in range(2):  # who asks again is told again
        with pytest.raises(UsageError, match=r"plugin 'my_lab' .* no my_lab"):
            plugins.load_installed()
