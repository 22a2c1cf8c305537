"""Modules from outside that register models, methods, features, figures and the like.

A package names its module under the entry point `xattn.plugins`:

    [project.entry-points."xattn.plugins"]
    my_lab = "my_lab.xattn_plugin"

A single file is named on the command line: `xattn --plugin my_method.py explain ...`.
"""

from __future__ import annotations

import os
import sys
from hashlib import sha256
from importlib.metadata import EntryPoint, entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from xattn.errors import UsageError, XattnError, one_line

GROUP = "xattn.plugins"

_installed: list[str] | None = None
"""Names of the plugins of installed packages, once they are loaded."""
_files: list[Path] = []


def load_installed() -> list[str]:
    """Import the plugins of all installed packages, once, and return their names.

    Raises:
        UsageError: one of them cannot be imported.
    """
    global _installed
    if _installed is None:
        found = entry_points(group=GROUP)
        _installed = [one.name for one in found]  # before: they look at registries, too
        try:
            for one in found:
                _load(one)
        except BaseException:
            _installed = None  # who asks again is told again
            raise
    return list(_installed)


def _load(plugin: EntryPoint) -> None:
    try:
        plugin.load()
    except XattnError:
        raise
    except Exception as err:
        raise UsageError(
            f"Expected the plugin {plugin.name!r} ({plugin.value}) to be importable, but got "
            f"{type(err).__name__}: {one_line(err)}; mend it or uninstall its package"
        ) from err


def loaded_files() -> tuple[Path, ...]:
    """Return the files that `load_file` imported, in order."""
    return tuple(_files)


def load_file(path: str | Path) -> str:
    """Import a Python file that registers something, once, and return its module's name.

    Raises:
        UsageError: there is no such file, or it cannot be imported.
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"Expected a Python file at {path}, but got nothing there")
    file = path.resolve()
    name = _module_name(file)
    if name in sys.modules:
        return name
    spec = spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise UsageError(f"Expected a Python file, ending in .py, but got {path}")
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as err:
        del sys.modules[name]
        if isinstance(err, XattnError) or not isinstance(err, Exception):
            raise
        raise UsageError(
            f"Expected {path} to be a plugin that can be imported, but got "
            f"{type(err).__name__}: {one_line(err)}"
        ) from err
    _files.append(file)
    return name


def _module_name(file: Path) -> str:
    """Name a plugin by its stem: whole models that were pickled are found wherever it lies now.

    Two files of one stem are two plugins, and neither may take the other's place.
    """
    name = f"xattn_plugin_{file.stem}"
    first = sys.modules.get(name)
    if first is None or first.__file__ == str(file):
        return name
    return f"{name}_{sha256(os.fsencode(file)).hexdigest()[:8]}"
