"""XML and pictures inside a packed document; each member is unpacked only up to a cap."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chiasm.errors import ChiasmError

_CHUNK = 2**20


class Packed:
    """An open zip file of which at most `limit` bytes are ever unpacked."""

    def __init__(self, archive: zipfile.ZipFile, limit: int) -> None:
        self._archive, self._left = archive, limit
        self._limit = limit

    def __contains__(self, name: str) -> bool:
        return name in self._archive.NameToInfo

    def data(self, name: str) -> bytes:
        """A member's bytes.

        Raises:
            ChiasmError: it is not there, is damaged, or passes the cap.
        """
        into = bytearray()
        try:
            with self._archive.open(name) as stream:
                # What the directory says of its size is not believed.
                while chunk := stream.read(_CHUNK):
                    into += chunk
                    self._left -= len(chunk)
                    if self._left < 0:
                        raise ChiasmError(f"unpacks to more than {self._limit:,} bytes: not read")
        except KeyError:
            raise ChiasmError(f"lacks its part {name}; save it again") from None
        except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, EOFError) as error:
            raise ChiasmError(f"has a part that cannot be unpacked ({error})") from None
        return bytes(into)

    def tree(self, name: str) -> Any:
        """A member as XML whose entities are left alone.

        Raises:
            ChiasmError: as `data`, or it is not well formed.
        """
        import lxml.etree as etree

        parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
        try:
            return etree.fromstring(self.data(name), parser)
        except etree.XMLSyntaxError as error:
            raise ChiasmError(f"has a damaged part {name} ({error.msg})") from None

    def relations(self, name: str) -> dict[str, str]:
        """Of a part, by id, the parts that it refers to in the same file."""
        folder, _, last = name.rpartition("/")
        listed = f"{folder}/_rels/{last}.rels"
        if listed not in self:
            return {}
        found = {}
        for node in self.tree(listed).iter("{*}Relationship"):
            if node.get("TargetMode") != "External":
                found[node.get("Id", "")] = _joined(folder, node.get("Target", ""))
        return found


@contextmanager
def unpacked(place: Path, limit: int) -> Iterator[Packed]:
    """A packed document.

    Raises:
        ChiasmError: it is no zip file, or a damaged one.
    """
    try:
        archive = zipfile.ZipFile(place)
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise ChiasmError(f"cannot be unpacked ({error}); save or download it again") from None
    with archive:
        yield Packed(archive, limit)


def _joined(folder: str, target: str) -> str:
    """A path inside the file, `..` resolved; a part can name nothing outside it."""
    steps = [] if target.startswith("/") else folder.split("/")
    for step in target.split("/"):
        if step == "..":
            steps = steps[:-1]
        elif step not in ("", "."):
            steps.append(step)
    return "/".join(steps)
