"""The socket that a server listens on, taken before anything slow is loaded."""

import socket

from chiasm.errors import ChiasmError


def bound(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes any that is free.

    Raises:
        ChiasmError: no such address here, or another program has the port.
    """
    try:
        [family, kind, protocol, _, place] = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        taken = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ChiasmError(f"--host {host}: no address of this machine ({error})") from None
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind(place)
        taken.listen(128)
    except OSError as error:
        taken.close()
        raise ChiasmError(
            f"{host} port {port} cannot be listened on ({error.strerror}); choose another --port"
        ) from None
    return taken
