#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""record.py DIR - record the HTTP/2 sessions of this directory again.

Starts nghttpd and a gRPC server on loopback, ports of the system's choosing,
and lets curl, nghttp and grpcio talk to them through a relay that writes down
each piece as it moves: "C" or "S", then hex.
Needs the packages nghttp2-client, nghttp2-server, curl, python3-grpcio.
"""
import os
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent import futures

import grpc


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(port):
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"record: nobody listens on {port}")


class Relay:
    """Writes down the first connection that comes, until it ends."""

    def __init__(self, server, path, comment):
        self.server, self.path, self.comment = server, path, comment
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        client, _ = self.listener.accept()
        server = socket.create_connection(("127.0.0.1", self.server))
        self.listener.close()
        other = {client: server, server: client}
        with open(self.path, "w", encoding="ascii") as out:
            out.write(f"# {self.comment}\n")
            while other:
                for s in select.select(list(other), [], [])[0]:
                    data = s.recv(65536)
                    if data:
                        out.write("CS"[s is server] + " " + data.hex() + "\n")
                        other[s].sendall(data)
                    else:
                        other.clear()
                        break
        client.close()
        server.close()

    def join(self):
        self.thread.join()


def files(root):
    with open(f"{root}/index.html", "w", encoding="ascii") as f:
        f.write("<html><link rel=stylesheet href=style.css></html>\n")
    with open(f"{root}/style.css", "w", encoding="ascii") as f:
        f.write("body { color: black }\n" * 40)
    with open(f"{root}/upload.json", "w", encoding="ascii") as f:
        f.write('{"name": "Ada", "email": "ada@example.org"}\n')


def nghttp2(directory, root):
    """NAME, options of the server, the client's command."""
    base = ["nghttp", "-n"]
    url = "http://127.0.0.1:%d"
    return [
        ("curl", [], ["curl", "-s", "--http2-prior-knowledge",
                      "-H", "Authorization: Bearer not-to-be-seen",
                      "-H", "Cookie: session=not-to-be-seen",
                      "-o", "/dev/null", f"{url}/index.html?user=ada&id=7"]),
        ("head", [], ["curl", "-s", "-I", "--http2-prior-knowledge",
                      "-o", "/dev/null", f"{url}/index.html"]),
        ("push", ["-p/index.html=/style.css"], [*base, f"{url}/index.html"]),
        ("assets", [], [*base, "-a", f"{url}/index.html", f"{url}/missing"]),
        ("padding", ["-b", "200"], [*base, "-b", "100", "--continuation",
                                    "-d", f"{root}/upload.json",
                                    f"{url}/index.html"]),
        ("trailers", ["--trailer", "digest: none"],
         [*base, "--trailer", "checksum: 17", "--expect-continue",
          "-d", f"{root}/upload.json", f"{url}/index.html"]),
        ("table", ["--encoder-header-table-size=0"],
         [*base, "-c", "0", "-c", "256", "-m", "3", f"{url}/index.html"]),
    ]


def record_nghttp2(directory, root):
    version = subprocess.run(["nghttpd", "--version"], check=True, text=True,
                             capture_output=True).stdout.strip()
    for name, options, command in nghttp2(directory, root):
        port = free_port()
        server = subprocess.Popen(["nghttpd", "--no-tls", "-d", root, *options,
                                   "-a", "127.0.0.1", str(port)],
                                  stdout=subprocess.DEVNULL)
        wait_for(port)
        relay = Relay(port, f"{directory}/{name}.http2",
                      f"{version}, {command[0]}; recorded by record.py")
        try:
            subprocess.run([c.replace("%d", str(relay.port)) for c in command],
                           check=True)
            relay.join()
        finally:
            server.terminate()
            server.wait()


class Greeter(grpc.GenericRpcHandler):
    """Bytes in, bytes out: what a message holds is of no interest."""

    def service(self, details):
        return {
            "/shop.Customers/Get": grpc.unary_unary_rpc_method_handler(
                self.get),
            "/shop.Customers/List": grpc.unary_stream_rpc_method_handler(
                lambda request, context: iter([b"a" * n for n in (10, 20)])),
            "/shop.Customers/Add": grpc.stream_unary_rpc_method_handler(
                lambda requests, context: b"%d" % sum(map(len, requests))),
            "/shop.Customers/Chat": grpc.stream_stream_rpc_method_handler(
                lambda requests, context: (r * 2 for r in requests)),
        }.get(details.method)

    @staticmethod
    def get(request, context):
        if request == b"nobody":
            context.abort(grpc.StatusCode.NOT_FOUND,
                          "no such customer: 100% sure")
        return b"Ada " * 20


def calls(channel):
    def each(kind, method):
        return getattr(channel, kind)(f"/shop.Customers/{method}")

    metadata = [("authorization", "Bearer not-to-be-seen")]
    each("unary_unary", "Get")(b"ada", metadata=metadata)
    list(each("unary_stream", "List")(b"all"))
    each("stream_unary", "Add")(iter([b"one", b"three"]))
    list(each("stream_stream", "Chat")(iter([b"x", b"yy", b"zzz"])))
    each("unary_unary", "Get")(b"ada" * 30,
                               compression=grpc.Compression.Gzip)
    for method, request in (("Get", b"nobody"), ("Nothing", b"")):
        try:
            each("unary_unary", method)(request)
        except grpc.RpcError:
            pass


def record_grpc(directory):
    server = grpc.server(futures.ThreadPoolExecutor(2),
                         handlers=[Greeter()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    relay = Relay(port, f"{directory}/grpc.http2",
                  f"grpcio {grpc.__version__}; recorded by record.py")
    with grpc.insecure_channel(f"127.0.0.1:{relay.port}") as channel:
        calls(channel)
    relay.join()
    server.stop(None)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    directory = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as root:
        files(root)
        record_nghttp2(directory, root)
    record_grpc(directory)


main()
