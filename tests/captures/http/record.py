#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""record.py DIR - record the conversations of this directory again.

Starts an nginx of its own on loopback, with data in a temporary directory, and
writes down what curl, and requests written here, say to it through a relay.
"""
import os
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time

PORT = 24980  # nginx's, the relay's is the next
CONFIG = """
daemon off; pid {dir}/pid; error_log {dir}/errors;
events {{}}
http {{
  access_log off; root {dir}/www; types {{ text/plain txt; }}
  client_body_temp_path {dir}/b; proxy_temp_path {dir}/p;
  fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
  gzip on; gzip_types *; gzip_min_length 100;
  server {{
    listen 127.0.0.1:{port};
    location /post {{ proxy_pass http://127.0.0.1:{port}/echo; }}
    location /echo {{ return 200 "thanks\\n"; }}
    location /login {{ add_header Set-Cookie "sid=n0tshown; Path=/";
                       return 302 /hello.txt; }}
    location /private {{ auth_basic "here"; auth_basic_user_file {dir}/none; }}
  }}
}}
"""


def relay(listener, out):
    client, _ = listener.accept()
    server = socket.create_connection(("127.0.0.1", PORT))
    names = {client: ("C", server), server: ("S", client)}
    while True:
        for ready in select.select(list(names), [], [])[0]:
            data = ready.recv(65536)
            if not data:
                client.close()
                server.close()
                return
            side, other = names[ready]
            out.append((side, data))
            other.sendall(data)


def record(name, directory, talk):
    out = []
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", PORT + 1))
        listener.listen(1)
        thread = threading.Thread(target=relay, args=(listener, out))
        thread.start()
        talk("http://127.0.0.1:%d" % (PORT + 1))
        thread.join()
    with open(os.path.join(directory, name + ".http"), "w") as file:
        for side, data in out:
            file.write("%s %s\n" % (side, data.hex()))


def curl(url, www):
    upload = os.path.join(www, "big.txt")
    subprocess.run([
        "curl", "-s", "-o", "/dev/null", url + "/hello.txt?user=7",
        "--next", "-s", "-o", "/dev/null", "--compressed", url + "/big.txt",
        "--next", "-s", "-o", "/dev/null", "-I", url + "/big.txt",
        "--next", "-s", "-o", "/dev/null", "-r", "5-9", url + "/big.txt",
        "--next", "-s", "-o", "/dev/null", url + "/absent",
        "--next", "-s", "-o", "/dev/null", "-u", "ada:n0tshown",
        url + "/private/x",
        "--next", "-s", "-o", "/dev/null", "-b", "sid=n0tshown; lang=en",
        url + "/login",
        "--next", "-s", "-o", "/dev/null", "-d", "name=Ada&card=4111",
        url + "/post",
        "--next", "-s", "-o", "/dev/null", "-H", "Expect: 100-continue",
        "-F", "who=Ada", "-F", "doc=@%s;type=text/plain" % upload,
        url + "/post",
        "--next", "-s", "-o", "/dev/null", "-T", upload,
        "-H", "Transfer-Encoding: chunked", "-X", "POST", url + "/post",
    ], check=True)


def pipeline(url):
    port = int(url.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port)) as s:
        head = "Host: h\r\n\r\n"
        s.sendall(("GET /hello.txt HTTP/1.1\r\n" + head +
                   "HEAD /big.txt HTTP/1.1\r\n" + head +
                   "GET /absent HTTP/1.1\r\n" + head).encode())
        time.sleep(0.2)
        s.sendall(("\r\nGET /hello.txt HTTP/1.1\nHost:h\n\n" +
                   "DELETE / HTTP/1.1\r\nConnection: close\r\n" +
                   head).encode())
        while s.recv(65536):
            pass


def until_close(url):
    port = int(url.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.sendall(b"GET /big.txt HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n")
        while s.recv(65536):
            pass


def main():
    directory = sys.argv[1]
    with tempfile.TemporaryDirectory() as temporary:
        www = os.path.join(temporary, "www")
        os.mkdir(www)
        with open(os.path.join(www, "hello.txt"), "w") as file:
            file.write("hello\n")
        with open(os.path.join(www, "big.txt"), "w") as file:
            file.writelines("line %d of the text\n" % i for i in range(90))
        for path in (temporary, www):
            os.chmod(path, 0o755)
        open(os.path.join(temporary, "none"), "w").close()
        config = os.path.join(temporary, "nginx.conf")
        with open(config, "w") as file:
            file.write(CONFIG.format(dir=temporary, port=PORT))
        server = subprocess.Popen(["nginx", "-c", config, "-p", temporary])
        try:
            time.sleep(1)
            record("curl", directory, lambda url: curl(url, www))
            record("pipeline", directory, pipeline)
            record("close", directory, until_close)
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
