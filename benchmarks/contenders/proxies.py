"""Byte relays: nginx and HAProxy from Debian, each with one thread and nothing but forwarding on."""

from __future__ import annotations

import getpass
import os
import resource

from benchmarks.contenders.base import Contender, Launch, Site, needs_program, output, path_of

_NGINX = """
daemon off;
{user}
worker_processes 1;
worker_rlimit_nofile 65536;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 32768; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 64m;
    client_body_buffer_size 2m;
    keepalive_requests 100000000;
    upstream mock {{
        server 127.0.0.1:{upstream};
        keepalive 8192;
        keepalive_requests 100000000;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://mock;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
            proxy_request_buffering off;
        }}
    }}
}}
"""

_HAPROXY = """
global
    nbthread 1
    maxconn {connections}
defaults
    mode http
    option http-keep-alive
    option http-no-delay
    http-reuse always
    timeout connect 5s
    timeout client 300s
    timeout server 300s
frontend front
    bind 127.0.0.1:{port} backlog 4096
    default_backend back
backend back
    server mock 127.0.0.1:{upstream} maxconn {connections} pool-max-conn -1
"""


def _nginx(site: Site) -> Launch:
    path = site.folder / "nginx.conf"
    user = f"user {getpass.getuser()};" if os.geteuid() == 0 else ""
    path.write_text(_NGINX.format(user=user, folder=site.folder, port=site.port, upstream=site.upstream), "utf-8")
    return Launch((path_of("nginx"), "-p", site.folder, "-c", path, "-e", site.folder / "error.log"))


def _haproxy(site: Site) -> Launch:
    path = site.folder / "haproxy.cfg"
    connections = resource.getrlimit(resource.RLIMIT_NOFILE)[1] // 2 - 100  # each has two ends
    text = _HAPROXY.format(port=site.port, upstream=site.upstream, connections=min(connections, 20000))
    path.write_text(text, "utf-8")
    return Launch((path_of("haproxy"), "-f", path, "-db"))


NGINX = Contender(
    name="nginx",
    title="one worker, buffering off, no access log",
    missing=needs_program("nginx", "nginx-light"),
    launch=_nginx,
    version=lambda: output([path_of("nginx"), "-v"]).removeprefix("nginx version: "),
)

HAPROXY = Contender(
    name="haproxy",
    title="one thread, no log",
    missing=needs_program("haproxy", "haproxy"),
    launch=_haproxy,
    version=lambda: " ".join(output([path_of("haproxy"), "-v"]).split()[:3]),
)
