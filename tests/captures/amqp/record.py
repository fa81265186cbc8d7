#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""record.py PORT DIRECTORY - records sessions of pika with a RabbitMQ.

Each session goes through a relay that writes the bytes down in the order in
which it saw them.  Needs python3-pika, and the user guest on that port.
"""
import socket
import sys
import threading

import pika


class Relay:
    """Passes one connection on and keeps its pieces."""

    def __init__(self, port):
        self.pieces = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self.run, args=(port,))
        self.thread.start()

    def run(self, port):
        client, _ = self.listener.accept()
        server = socket.create_connection(("127.0.0.1", port))
        ways = [threading.Thread(target=self.copy, args=way) for way in
                ((client, server, "C"), (server, client, "S"))]
        for way in ways:
            way.start()
        for way in ways:
            way.join()
        self.listener.close()

    def copy(self, source, target, side):
        while True:
            try:
                data = source.recv(65536)
            except ConnectionError:
                data = b""
            if not data:
                break
            with self.lock:
                self.pieces.append((side, data))
                target.sendall(data)
        try:
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def write(self, path):
        self.thread.join()
        with open(path, "w", encoding="ascii") as out:
            for side, data in self.pieces:
                out.write(f"{side} {data.hex()}\n")


def connect(port):
    return pika.BlockingConnection(pika.ConnectionParameters(
        "127.0.0.1", port, heartbeat=0, frame_max=4096,
        credentials=pika.PlainCredentials("guest", "guest")))


def work(port):
    """Declares, publishes with confirms, gets, consumes, acknowledges."""
    connection = connect(port)
    channel = connection.channel()
    channel.confirm_delivery()
    channel.exchange_declare("orders", "topic")
    channel.queue_declare("billing")
    channel.queue_bind("billing", "orders", "order.#")
    for number in range(3):
        channel.basic_publish("orders", f"order.{number}",
                              f"order {number}: anna@example.org".encode(),
                              pika.BasicProperties("text/plain"))
    channel.basic_publish("", "billing", b"x" * 9000)
    method, _, _ = channel.basic_get("billing")
    channel.basic_ack(method.delivery_tag)
    for method, _, _ in channel.consume("billing"):
        channel.basic_ack(method.delivery_tag)
        if method.delivery_tag == 4:
            break
    channel.cancel()
    channel.basic_get("billing")
    channel.queue_delete("billing")
    channel.exchange_delete("orders")
    connection.close()


def fail(port):
    """A queue that is not there: the server closes the channel."""
    connection = connect(port)
    channel = connection.channel()
    try:
        channel.queue_declare("absent", passive=True)
    except pika.exceptions.ChannelClosedByBroker:
        pass
    channel = connection.channel()
    channel.queue_declare("present", exclusive=True)
    connection.close()


def main():
    port, directory = int(sys.argv[1]), sys.argv[2]
    for session in (work, fail):
        relay = Relay(port)
        session(relay.port)
        relay.write(f"{directory}/{session.__name__}.amqp")


main()
