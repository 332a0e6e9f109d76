"""Addresses: a numeric host and a port, and which of them stay on this machine."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

HIGHEST_PORT = 65535


class Address(NamedTuple):
    """Where a passive socket listens; port 0 asks the kernel for any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse(text: str) -> Address:
    """Parse "HOST:PORT", "[HOST]:PORT" or "PORT" (then on 127.0.0.1).

    Raises ValueError for anything else; a host is numeric, or "localhost".
    """
    host, _, port = text.rpartition(":") if ":" in text else ("127.0.0.1", "", text)
    host = "127.0.0.1" if host == "localhost" else host
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    number = int(port) if port.isascii() and port.isdigit() and len(port) < 6 else -1
    if not _is_numeric(host) or not 0 <= number <= HIGHEST_PORT:
        raise ValueError(
            f"address {text!r}: write HOST:PORT with a numeric host and a port from "
            f"0 (any free one) to {HIGHEST_PORT}, such as 127.0.0.1:8080 or [::1]:0"
        )
    return Address(host, number)


def is_local(address: Address) -> bool:
    """Return whether only this machine can reach the address."""
    return ipaddress.ip_address(address.host).is_loopback


def _is_numeric(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
