"""What a server allows: sizes, waiting, and who may ask."""

from dataclasses import dataclass

from chiasm.errors import Misuse

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every limit of one server.

    Raises:
        Misuse: an address beyond this machine without a token.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str = ""
    """What a client must bring; empty: nothing, on this machine alone."""
    allow_remote: bool = False
    """Whether media is fetched from public addresses."""
    max_body: int = 32 * 2**20
    """Bytes of one request."""
    max_media: int = 20 * 2**20
    """Bytes of one picture or recording."""
    max_pixels: int = 2**24
    """Height times width of one picture."""
    max_pictures: int = 16
    """Of one request."""
    max_new: int = 512
    """Tokens of an answer whose length is not asked for."""
    queue: int = 16
    """Requests that wait for the model, the one it works on included."""
    seconds: float = 300.0
    """Until a request is given up."""
    upload_seconds: float = 60.0
    """Until a body must have arrived."""
    cache: int = 256 * 2**20
    """Bytes of decoded pictures that are kept."""

    def __post_init__(self) -> None:
        if self.host not in LOOPBACK and not self.token:
            raise Misuse(
                f"--host {self.host} lets other machines in, and no --token keeps them out; "
                "give a token, or stay on 127.0.0.1"
            )
        if self.token and (not self.token.isascii() or len(self.token) < 8):
            raise Misuse("--token is too short or not ASCII; give at least 8 letters and digits")

    @property
    def local(self) -> bool:
        """Whether only this machine can reach the server."""
        return self.host in LOOPBACK
