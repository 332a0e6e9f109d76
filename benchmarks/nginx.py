"""nginx's configuration: one worker that gives answers as long as netlab's.

nginx writes headers that netlab does not (Server, Date, Connection), so its body is
shorter. How much is computed here and checked on the running server. The port is
one that was free a moment ago: nginx cannot be told to take any.
"""

from __future__ import annotations

import os
import pwd
import socket
from pathlib import Path

from netlab.kernel import limits
from netlab.protocol import answer, read_request

KEEP = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
HEAD = (
    "HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
    "Content-Type: text/plain\r\nContent-Length: 00\r\nConnection: {}\r\n\r\n"
)
EVER = "1000000000"
MOST = 1 << 15  # nginx lays out its table of connections at the start
CONFIGURATION = """\
{user}daemon off;
worker_processes 1;
worker_rlimit_nofile {descriptors};
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections {connections}; }}
http {{
    access_log off;
    server_tokens off;
    default_type text/plain;
    keepalive_requests {ever};
    keepalive_timeout 1h;
    client_header_timeout 1h;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    map $http_connection $filler {{ default "{keep}"; close "{last}"; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{ return 200 $filler; }}
    }}
}}
"""


def length(request: bytes) -> int:
    """Return the length of netlab's answer to a request."""
    read = read_request(request)
    assert read is not None
    return len(answer(read, worker=0, tid=1, cpu=0, accepts=1)[0])


def command(folder: Path) -> list[str]:
    """Write the configuration into the folder; return the command."""
    descriptors = min(limits.descriptor_limits()[0], MOST)
    as_root = os.geteuid() == 0  # else nginx's worker would be another user's
    text = CONFIGURATION.format(
        user=f"user {pwd.getpwuid(0).pw_name};\n" if as_root else "",
        descriptors=descriptors,
        connections=2 * descriptors,  # of its last 16th it closes the idle ones
        folder=folder,
        ever=EVER,
        keep="." * (length(KEEP) - len(HEAD.format("keep-alive"))),
        last="." * (length(LAST) - len(HEAD.format("close"))),
        port=free_port(),
    )
    path = folder / "nginx.conf"
    path.write_text(text)
    return ["nginx", "-p", str(folder), "-c", str(path), "-e", "stderr"]


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
