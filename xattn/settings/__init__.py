"""Settings as frozen dataclasses; nothing heavy is imported, for the command line reads them."""

from xattn.settings.declare import Option, Settings, moved, names, setting

__all__ = ["Option", "Settings", "moved", "names", "setting"]
