"""Media from public addresses, where the server was told to allow it.

Every name is resolved once, every address it has must be public, and the connection goes to that
very address: a name that changes its mind between check and use (DNS rebinding) changes nothing.
Redirects are followed by hand, each checked like the first.
"""

import ipaddress
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx

from chiasm.data.source import printable
from chiasm.serving.refusal import Refused

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_CLOSED = tuple(
    map(
        ipaddress.ip_network,
        (
            # IPv6 that carries an IPv4 address, which may be a private one.
            *("64:ff9b::/96", "64:ff9b:1::/48", "::/96", "2002::/16", "2001::/32"),
            # What some versions of Python take for global, or some clouds use for themselves.
            *("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32", "fec0::/10"),
        ),
    )
)
"""Not public, beside what `ipaddress` knows."""


def is_public(address: Address) -> bool:
    """Whether anyone may reach it: not this machine, not a private network, not a cloud's own."""
    mapped = getattr(address, "ipv4_mapped", None)
    if mapped is not None:
        return is_public(mapped)
    closed = any(address in network for network in _CLOSED)
    return address.is_global and not address.is_multicast and not closed


def addresses(host: str, port: int) -> list[str]:
    """All that a name stands for."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Refused(400, f"{printable(host, 80)}: no such host; check the address") from None
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True, kw_only=True)
class Remote:
    """Fetches one medium at a time; nothing of the environment (proxies, credentials) is used."""

    max_bytes: int
    seconds: float = 20.0
    redirects: int = 3
    resolve: Callable[[str, int], Sequence[str]] = addresses
    permits: Callable[[Address], bool] = is_public

    def fetch(self, url: str) -> bytes:
        """The bytes at an address.

        Raises:
            Refused: an address that is not public, too many redirects, too many bytes, too slow, or
                not there.
        """
        deadline = time.monotonic() + self.seconds
        with httpx.Client(trust_env=False, follow_redirects=False, timeout=self.seconds) as client:
            for _ in range(self.redirects + 1):
                found = self._once(client, url, deadline)
                if isinstance(found, bytes):
                    return found
                url = found
        raise Refused(400, f"more than {self.redirects} redirects; give the last address")

    def _once(self, client: httpx.Client, url: str, deadline: float) -> bytes | str:
        """The bytes, or the address that is named instead."""
        named, pinned = self._pinned(url)
        request = client.build_request(
            "GET",
            pinned,
            headers={"Host": named.netloc.decode("ascii"), "Accept-Encoding": "identity"},
            # The certificate must be the name's, whatever address the connection goes to.
            extensions={"sni_hostname": named.host},
        )
        shown = printable(str(named), 80)
        try:
            answer = client.send(request, stream=True)
            try:
                if answer.is_redirect:
                    return str(named.join(answer.headers["location"]))
                if answer.status_code != 200:
                    raise Refused(400, f"{shown}: answered {answer.status_code}; check the address")
                return self._read(answer, shown, deadline)
            finally:
                answer.close()
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise Refused(400, f"{shown}: not fetched ({type(error).__name__})") from None

    def _pinned(self, url: str) -> tuple[httpx.URL, httpx.URL]:
        """The address as named, and with the number it resolved to in the place of its host."""
        try:
            named = httpx.URL(url)
        except (httpx.InvalidURL, ValueError, TypeError):
            raise Refused(400, f"{printable(url, 80)}: not an address") from None
        if named.scheme not in ("http", "https") or not named.host or named.userinfo:
            raise Refused(400, f"{printable(url, 80)}: give a plain http or https address")
        port = named.port or {"http": 80, "https": 443}[named.scheme]
        if port > 65_535:
            raise Refused(400, f"port {port} is none; check the address")
        found = self.resolve(named.host, port)
        for one in found:
            if not self.permits(ipaddress.ip_address(one.partition("%")[0])):
                raise Refused(
                    400,
                    f"{printable(named.host, 80)}: is not a public address; send the bytes as a "
                    "data: URI",
                )
        if not found:
            raise Refused(400, f"{printable(named.host, 80)}: no such host; check the address")
        return named, named.copy_with(host=found[0])

    def _read(self, answer: httpx.Response, shown: str, deadline: float) -> bytes:
        told = answer.headers.get("content-length", "0")
        too_many = Refused(400, f"{shown}: above the cap of {self.max_bytes:,} bytes; shrink it")
        if told.isdecimal() and int(told[:20]) > self.max_bytes:
            raise too_many
        data = bytearray()
        for chunk in answer.iter_raw():
            data += chunk
            if len(data) > self.max_bytes:
                raise too_many
            if time.monotonic() > deadline:
                raise Refused(400, f"{shown}: not here within {self.seconds:g} s")
        return bytes(data)
