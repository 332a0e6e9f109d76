"""Addresses: how they are written, and which stay on this machine."""

import pytest

from netlab.kernel.addresses import Address, is_local, parse


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 8080),
        ("127.0.0.1:0", "127.0.0.1", 0),
        ("0.0.0.0:65535", "0.0.0.0", 65535),
        ("[::1]:8080", "::1", 8080),
        ("[::]:0", "::", 0),
        ("[2001:db8::1]:80", "2001:db8::1", 80),
        ("8080", "127.0.0.1", 8080),
        (":8080", None, None),
        ("localhost:8080", "127.0.0.1", 8080),
        ("127.0.0.1", None, None),
        ("127.0.0.1:", None, None),
        ("127.0.0.1:65536", None, None),
        ("127.0.0.1:-1", None, None),
        ("127.0.0.1:+80", None, None),
        ("127.0.0.1: 80", None, None),
        ("127.0.0.1:http", None, None),
        ("127.0.0.1:0x50", None, None),
        ("127.0.0.1:\u0668\u0660", None, None),
        ("127.0.0.1:000080", None, None),
        ("127.1:80", None, None),
        ("256.0.0.1:80", None, None),
        ("example.org:80", None, None),
        ("[::1]", None, None),
        ("::", None, None),
        ("http://127.0.0.1:80", None, None),
        (" 127.0.0.1:80", None, None),
        ("", None, None),
    ],
)
def test_parse(text, host, port):
    if host is None:
        with pytest.raises(ValueError, match="write HOST:PORT") as refused:
            parse(text)
        assert repr(text) in str(refused.value)
    else:
        assert parse(text) == Address(host, port)


@pytest.mark.parametrize("text", ["127.0.0.1:80", "[::1]:0", "[2001:db8::1]:65535"])
def test_an_address_is_written_as_it_is_read(text):
    assert str(parse(text)) == text


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.9.8.7", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("192.168.1.1", False),
        ("169.254.1.1", False),
        ("2001:db8::1", False),
        ("::2", False),
    ],
)
def test_only_loopback_is_local(host, local):
    assert is_local(Address(host, 80)) is local
