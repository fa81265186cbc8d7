#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
# tls_server.py PORT CERTIFICATE KEY FILE - HTTP over OpenSSL for the live tests.
#
# Answers each request, whatever it asks for, with the file; closes then.
import socket
import ssl
import sys
import threading


def request(connection):
    """Read a request to its end, with the body that it announces."""
    data = b''
    while b'\r\n\r\n' not in data:
        part = connection.recv(65536)
        if not part:
            return
        data += part
    head, body = data.split(b'\r\n\r\n', 1)
    length = 0
    for line in head.lower().split(b'\r\n'):
        if line.startswith(b'content-length:'):
            length = int(line.split(b':')[1])
    while len(body) < length:
        body += connection.recv(65536)


def serve(connection, context, answer):
    try:
        with context.wrap_socket(connection, server_side=True) as tls:
            request(tls)
            tls.sendall(answer)
            tls.unwrap()
    except OSError:
        pass  # the client has said no good-bye


def main():
    port, certificate, key, name = sys.argv[1:]
    with open(name, 'rb') as file:
        body = file.read()
    answer = (b'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: '
              b'%d\r\n\r\n' % len(body)) + body
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listener = socket.create_server(('127.0.0.1', int(port)))
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, daemon=True,
                         args=(connection, context, answer)).start()


main()
