"""One name, one folder: a packaged alias, a folder on disk, or a Hugging Face hub id."""

import re
from difflib import get_close_matches
from pathlib import Path

from chiasm.errors import ChiasmError, Misuse
from chiasm.weights.fetch import default_store
from chiasm.weights.registry import PACKAGES

SAFE_FILES = ("*.safetensors", "*.safetensors.index.json", "*.json", "*.jinja", "*.txt", "*.model")
"""What is taken from the hub: tensors, configs and tokenizers, none of which can run code."""
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_HUB_ID = re.compile(r"(?P<id>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?")


def resolve(name: str, *, allow_pickle: bool = False) -> Path:
    """The folder that `name` means, fetched and converted if need be.

    `name` is an alias (`smollm2-135m`), an existing folder, or a hub id (`org/name`,
    `org/name@revision`). A folder whose only weights are pickles is refused unless `allow_pickle`.
    """
    if name in PACKAGES:
        return default_store().fetch(name)
    folder = Path(name).expanduser()
    if folder.is_dir():
        return _refuse_bare_pickles(folder, name, allow_pickle)
    match = _HUB_ID.fullmatch(name)
    if match and not name.startswith("."):
        return _from_hub(match["id"], match["revision"], allow_pickle)
    near = get_close_matches(name, PACKAGES, n=3, cutoff=0.4)
    hint = f"nearest: {', '.join(near)}" if near else f"aliases: {', '.join(PACKAGES)}"
    raise Misuse(f"no weights are called {name!r} (not an alias, a folder, or org/name); {hint}")


def _refuse_bare_pickles(folder: Path, name: str, allow_pickle: bool) -> Path:
    pickles = sorted(path.name for pattern in PICKLES for path in folder.glob(pattern))
    tensors = any(folder.glob("*.safetensors")) or any(folder.glob("*.gguf"))
    if pickles and not tensors and not allow_pickle:
        raise ChiasmError(
            f"{name} holds its weights only as a pickle ({pickles[0]}), which can run code when "
            "read; save it as safetensors, or allow pickles if you trust its author"
        )
    return folder


def _from_hub(repository: str, revision: str | None, allow_pickle: bool) -> Path:
    from huggingface_hub import snapshot_download

    patterns: list[str] = [*SAFE_FILES, *(PICKLES if allow_pickle else ())]
    try:
        taken = snapshot_download(repository, revision=revision, allow_patterns=patterns)
    except Exception as error:
        # The hub client lets through the errors of several transports; all have this one remedy.
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ChiasmError(
            f"{repository} could not be fetched from the hub: {reason}; check the name and the "
            "network, or give a folder"
        ) from error
    folder = Path(taken)
    if not allow_pickle and not any(folder.rglob("*.safetensors")):
        raise ChiasmError(
            f"{repository} offers no safetensors; convert its weights, or allow pickles if you "
            "trust their author"
        )
    return folder
