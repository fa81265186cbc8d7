#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""sockets_peer.py - both ends of plain connections, who note what calls moved.

    sockets_peer.py SCENARIO DIR COMM

A server and a client, a process each or more, play a scenario.  DIR/PID.N.in
and DIR/PID.N.out get what the calls of process PID said they moved on its Nth
connection, DIR/PID.N.gaps what never was in its memory, DIR/PID.N.about the
addresses: the files that streamdump writes of the same connection.  Each byte
is pseudo-random, of a sequence that no other connection has.  COMM becomes
the processes' name.  With NO_MMSG in the environment neither sendmmsg nor
recvmmsg is called.
"""

import ctypes
import os
import pathlib
import random
import select
import signal
import socket
import struct
import sys
import time

LIFE_SECONDS = 60
FILE_WAIT_SECONDS = 40
MSG_PEEK, MSG_OOB, MSG_WAITALL = 2, 1, 0x100
MSG_TRUNC, MSG_ERRQUEUE, MSG_WAITFORONE = 0x20, 0x2000, 0x10000
SO_ZEROCOPY, MSG_ZEROCOPY = 60, 0x4000000
SIZES = (1, 4, 100, 1023, 1024, 1025, 2049, 5000, 16384, 70000, 200000)
ROUNDS = 24
SMALL_SOCKET = 4096

LIBC = ctypes.CDLL(None, use_errno=True)
RANDOM = random.Random()
directory = pathlib.Path()
comm = ""
server = False
numbered = {}  # process: connections so far


# ---- the truth

class Link:
    """A connection of this process, or of those that it forks."""

    def __init__(self, sock):
        self.sock = sock
        self.pid = self.stem = None
        self.moved_bytes = {"in": 0, "out": 0}
        self.source = random.Random(os.urandom(16))

    def fileno(self):
        return self.sock.fileno()

    def begin(self):
        """The first byte in this process: a number, and files."""
        self.pid = os.getpid()
        number = numbered.get(self.pid, 0)
        numbered[self.pid] = number + 1
        self.stem = f"{directory}/{self.pid}.{number}"
        self.moved_bytes = {"in": 0, "out": 0}
        for part in ("in", "out", "gaps"):
            self.append(part, b"")
        self.append("about", f"{comm} {end(self.sock.getsockname())} "
                    f"{end(self.sock.getpeername())} -\n".encode())

    def append(self, part, data):
        fd = os.open(f"{self.stem}.{part}",
                     os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(fd, data)
        os.close(fd)

    def moved(self, direction, data):
        if not data:
            return
        if self.pid != os.getpid():
            self.begin()
        self.append(direction, data)
        self.moved_bytes[direction] += len(data)

    def skipped(self, direction, count):
        """Bytes that went by this process's memory."""
        if self.pid != os.getpid():
            self.begin()
        self.append("gaps", f"{direction} {self.moved_bytes[direction]} "
                            f"{count}\n".encode())

    def fresh(self, count):
        return self.source.randbytes(count)


def end(name):
    if isinstance(name, bytes):
        return "@" + name[1:].decode() + ":0"
    if isinstance(name, str):
        return name + ":0"
    return f"{name[0]}:{name[1]}"


# ---- what Python has no call for

class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


class Message(ctypes.Structure):
    _fields_ = [("name", ctypes.c_void_p), ("name_length", ctypes.c_uint),
                ("vectors", ctypes.POINTER(Vector)),
                ("count", ctypes.c_size_t), ("control", ctypes.c_void_p),
                ("control_length", ctypes.c_size_t),
                ("flags", ctypes.c_int), ("padding", ctypes.c_int),
                ("moved", ctypes.c_uint), ("unused", ctypes.c_uint)]


def vectors_of(buffers):
    array = (Vector * len(buffers))()
    for place, buffer in zip(array, buffers):
        place.length = len(buffer)
        place.base = ctypes.addressof(
            (ctypes.c_char * max(1, len(buffer))).from_buffer(
                buffer if buffer else bytearray(1)))
    return array


def checked(result):
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def messages_of(groups):
    array = (Message * len(groups))()
    keep = []
    for place, buffers in zip(array, groups):
        vectors = vectors_of(buffers)
        keep.append(vectors)
        place.vectors, place.count = vectors, len(buffers)
    return array, keep


def send_many(fd, groups):
    """sendmmsg; what of the groups went, in order."""
    array, _keep = messages_of(groups)
    sent = checked(LIBC.sendmmsg(fd, array, len(groups), 0))
    return [b"".join(groups[i])[:array[i].moved] for i in range(sent)]


def receive_many(fd, groups):
    array, _keep = messages_of(groups)
    got = checked(LIBC.recvmmsg(fd, array, len(groups), MSG_WAITFORONE, None))
    return [b"".join(groups[i])[:array[i].moved] for i in range(got)]


# ---- one call

def cut(data, most=40):
    """In 1 to `most` pieces, of any size, some of none."""
    marks = sorted(RANDOM.randint(0, len(data))
                   for _ in range(RANDOM.randrange(most)))
    marks = [0, *marks, len(data)]
    return [bytearray(data[a:b]) for a, b in zip(marks, marks[1:])]


def send_once(link, data, how):
    """One call; the bytes that it moved."""
    sock, fd = link.sock, link.fileno()
    if how == "write":
        count = os.write(fd, data)
    elif how == "writev":
        count = os.writev(fd, cut(data))
    elif how == "send":
        count = sock.send(data)
    elif how == "sendmsg":
        count = sock.sendmsg(cut(data))
    elif how == "pwritev2":
        pieces = cut(data, 8)
        count = checked(LIBC.pwritev2(fd, vectors_of(pieces), len(pieces),
                                      ctypes.c_long(-1), 0))
    else:
        assert how == "sendmmsg"
        # A group of nothing would go as a message of nothing.
        groups = [[piece] for piece in cut(data, 6) if piece]
        return b"".join(send_many(fd, groups))
    return data[:count]


def receive_once(link, limit, how):
    sock, fd = link.sock, link.fileno()
    pieces = cut(bytes(limit))
    if how == "read":
        return os.read(fd, limit)
    if how == "recv":
        return sock.recv(limit)
    if how == "waitall":
        return sock.recv(limit, MSG_WAITALL)
    if how == "peek":
        peeked = sock.recv(limit, MSG_PEEK)
        data = sock.recv(limit)
        assert data[:len(peeked)] == peeked
        return data
    if how == "peekmsg":
        sock.recvmsg(limit, 0, MSG_PEEK)
        return sock.recvmsg(limit)[0]
    if how == "readv":
        count = os.readv(fd, pieces)
    elif how == "recvmsg":
        count = sock.recvmsg_into(pieces)[0]
    elif how == "preadv2":
        count = checked(LIBC.preadv2(fd, vectors_of(pieces), len(pieces),
                                     ctypes.c_long(-1), 0))
    else:
        assert how == "recvmmsg"
        groups = [[piece] for piece in cut(bytes(limit), 6) if piece]
        return b"".join(receive_many(fd, groups))
    return b"".join(pieces)[:count]


SENDING = ("write", "writev", "send", "sendmsg", "pwritev2", "sendmmsg")
RECEIVING = ("read", "recv", "waitall", "peek", "peekmsg", "readv", "recvmsg",
             "preadv2", "recvmmsg")
if "NO_MMSG" in os.environ:
    SENDING, RECEIVING = SENDING[:-1], RECEIVING[:-1]


def ready(link, event):
    poller = select.poll()
    poller.register(link.fileno(), event)
    poller.poll()


def give(link, count, hows=SENDING):
    data = link.fresh(count)
    while data:
        try:
            done = send_once(link, data, RANDOM.choice(hows))
        except BlockingIOError:
            ready(link, select.POLLOUT)
            continue
        link.moved("out", done)
        data = data[len(done):]


def take(link, count, hows=RECEIVING):
    while count:
        try:
            data = receive_once(link, min(count, RANDOM.choice(SIZES)),
                                RANDOM.choice(hows))
        except BlockingIOError:
            ready(link, select.POLLIN)
            continue
        assert data, "the other end has gone"
        link.moved("in", data)
        count -= len(data)


def exchange(link, count, hows=(SENDING, RECEIVING)):
    """There and back."""
    if server:
        take(link, count, hows[1])
    give(link, count, hows[0])
    if not server:
        take(link, count, hows[1])


# ---- connections

class Meeting:
    """Where the two ends meet: a listener, or a pair made beforehand."""

    def __init__(self, family):
        self.family, self.pair = family, None
        if family == "pair":
            self.pair = socket.socketpair()
            return
        self.listener = self.new()
        if family in ("ipv4", "ipv6"):
            self.listener.bind(("127.0.0.1" if family == "ipv4" else "::1",
                                0))
        else:
            self.listener.bind("\0" + comm if family == "abstract" else
                               f"{directory}/socket")
        self.listener.listen(64)

    def new(self):
        return socket.socket({"ipv4": socket.AF_INET,
                              "ipv6": socket.AF_INET6}
                             .get(self.family, socket.AF_UNIX))

    def link(self):
        if self.pair:
            self.pair[0 if server else 1].close()
            return Link(self.pair[1 if server else 0])
        if server:
            return Link(self.listener.accept()[0])
        sock = self.new()
        sock.connect(self.listener.getsockname())
        return Link(sock)


# ---- scenarios: the same function for both ends

def play_shapes(meeting):
    """Every call, every size; and each call by itself."""
    link = meeting.link()
    for how in SENDING:
        exchange(link, 3000, ((how,), RECEIVING))
    for how in RECEIVING:
        exchange(link, 3000, (SENDING, (how,)))
    plan = random.Random(3)
    for _ in range(ROUNDS):
        exchange(link, plan.choice(SIZES))
    link.sock.close()


def play_vectors(meeting):
    """Forty buffers of up to 200 KB; then so many of 1,500 bytes, of one."""
    link = meeting.link()
    sizes = [0, 1, 7, 1500, 4096, 20000, 200000] + [2000] * 33
    for plan in (sizes, [1500] * 40, [1] * 40, [0, 0, 3]):
        if server:
            give_vectors(link, plan)
            take(link, sum(plan), ("recvmsg", "readv"))
        else:
            take(link, sum(plan), ("recvmsg", "readv"))
            give_vectors(link, plan)
    link.sock.close()


def give_vectors(link, sizes):
    pieces = [link.fresh(size) for size in sizes]
    data = b"".join(pieces)
    count = os.writev(link.fileno(), pieces)
    link.moved("out", data[:count])
    assert count == len(data), "a blocking call was cut"


def play_partial(meeting):
    """Calls that do not block, and move what just fits."""
    link = meeting.link()
    link.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_SOCKET)
    link.sock.setblocking(False)
    hows = (("send", "writev", "sendmsg", "write"),
            ("read", "readv", "recvmsg", "recv"))
    exchange(link, 900000, hows)
    link.sock.close()


def play_urgent(meeting):
    """Urgent data is no part of the stream: the byte before it is."""
    link = meeting.link()
    if server:
        for data in (b"!", b"ab!"):
            link.moved("out", data[:link.sock.send(data, MSG_OOB) - 1])
            take(link, 10)
        give(link, 5000)
    else:
        for before in (0, 2):
            ready(link, select.POLLPRI)
            assert link.sock.recv(1, MSG_OOB) == b"!"
            take(link, before, ("recv",))
            give(link, 10)
        take(link, 5000, ("recv",))
    link.sock.close()


def play_zerocopy(meeting):
    """MSG_ZEROCOPY: the pages are the process's, and can be read."""
    link = meeting.link()
    if server:
        link.sock.setsockopt(socket.SOL_SOCKET, SO_ZEROCOPY, 1)
        for size in (100, 70000, 400000):
            data = link.fresh(size)
            while data:
                done = link.sock.send(data, MSG_ZEROCOPY)
                link.moved("out", data[:done])
                ready(link, select.POLLERR)
                link.sock.recvmsg(100, 1000, MSG_ERRQUEUE)
                data = data[done:]
    else:
        take(link, 470100)
    exchange(link, 10)
    link.sock.close()


def play_discarded(meeting):
    """MSG_TRUNC on TCP: the bytes are gone without having been anywhere."""
    link = meeting.link()
    exchange(link, 1000)
    if server:
        give(link, 5000)
    else:
        count = 0
        while count < 5000:
            count += len_discarded(link, 5000 - count)
    exchange(link, 1000)
    link.sock.close()


def len_discarded(link, limit):
    count = checked(LIBC.recv(link.fileno(), None, ctypes.c_size_t(limit),
                              MSG_TRUNC))
    link.skipped("in", count)
    return count


def play_kernel(meeting):
    """sendfile, and splice both ways: exact gaps, right bytes behind them."""
    link = meeting.link()
    pipe = os.pipe()
    exchange(link, 1000)
    if server:
        with open(directory / "file", "wb+", buffering=0) as file:
            left = file.write(link.fresh(300000))
            file.seek(0)
            while left:
                count = os.sendfile(link.fileno(), file.fileno(), None, left)
                link.skipped("out", count)
                left -= count
        give(link, 4321)
        for _ in range(30):
            os.write(pipe[1], bytes(1000))
            assert os.splice(pipe[0], link.fileno(), 1000) == 1000
            link.skipped("out", 1000)
            give(link, 50)
    else:
        take(link, 300000 + 4321)
        left = 30 * 1050
        while left:
            count = os.splice(link.fileno(), pipe[1], min(left, 777))
            assert count, "the other end has gone"
            link.skipped("in", count)
            os.read(pipe[0], count)
            left -= count
    exchange(link, 1000)
    link.sock.close()


def play_others(meeting):
    """UDP, pipes, files, datagrams: not to be captured; one stream is."""
    link = meeting.link()
    exchange(link, 77)
    pipe = os.pipe()
    os.write(pipe[1], b"p" * 5000)
    os.read(pipe[0], 5000)
    for family, kind in ((socket.AF_UNIX, socket.SOCK_DGRAM),
                         (socket.AF_UNIX, socket.SOCK_SEQPACKET)):
        pair = socket.socketpair(family, kind)
        pair[0].send(b"d" * 500)
        pair[1].recv(500)
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))
    udp.sendto(b"u" * 500, udp.getsockname())
    udp.recv(500)
    with open(f"{directory}/file", "wb+", buffering=0) as file:
        file.write(b"f" * 5000)
        file.seek(0)
        file.read()
    exchange(link, 77)
    link.sock.close()


def play_duplicates(meeting):
    """dup and its like, before and after the first byte, in any order."""
    for early in (True, False):
        for order in range(4):
            link = meeting.link()
            if not early:
                exchange(link, 100)
            others = duplicates(link)
            exchange(link, 200)
            first = link.fileno()
            descriptors = [first, *others]
            if order % 2:
                descriptors.reverse()
            if order > 1:
                descriptors = descriptors[2:] + descriptors[:2]
            for fd in descriptors[:-1]:
                os.close(fd)
            last = descriptors[-1]
            if last != first:
                link.sock.detach()
                link.sock = socket.socket(fileno=last)
            exchange(link, 300)
            link.sock.close()


def duplicates(link):
    import fcntl
    fd = link.fileno()
    spare = [os.open("/dev/null", os.O_RDONLY) for _ in range(2)]
    os.dup2(fd, spare[0])
    os.dup2(fd, spare[1], inheritable=False)  # dup3
    return [os.dup(fd), spare[0], spare[1],
            fcntl.fcntl(fd, fcntl.F_DUPFD, 100),
            fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 100)]


def play_stdio(meeting):
    """As a super-server does: the socket becomes descriptors 0 and 1."""
    link = meeting.link()
    fd = link.sock.detach()
    os.dup2(fd, 0)
    os.dup2(fd, 1)
    os.close(fd)
    link.sock = socket.socket(fileno=0)
    exchange(link, 500)
    os.close(1)
    exchange(link, 500)
    link.sock.close()


def play_range(meeting):
    """close_range ends connections; others go on."""
    links = [meeting.link() for _ in range(3)]
    for link in links:
        exchange(link, 500)
    outside = os.dup(links[2].fileno())
    last = max(link.fileno() for link in links)
    first = min(link.fileno() for link in links)
    assert outside > last
    for link in links:
        link.sock.detach()
    checked(LIBC.close_range(first, last, 0))
    links[2].sock = socket.socket(fileno=outside)
    exchange(links[2], 500)
    link = meeting.link()  # on a descriptor just closed
    exchange(link, 500)
    link.sock.close()
    links[2].sock.close()


def play_shutdown(meeting):
    """What comes after a half has been shut down still counts."""
    link = meeting.link()
    exchange(link, 1000)
    if server:
        give(link, 5000)
        link.sock.shutdown(socket.SHUT_WR)
        take(link, 7000)
    else:
        take(link, 5000)
        assert not link.sock.recv(10)
        give(link, 7000)
        link.sock.shutdown(socket.SHUT_WR)
    link.sock.close()


def await_child(pid):
    assert os.waitpid(pid, 0)[1] == 0


def play_fork(meeting):
    """The parent accepts and greets; the child goes on."""
    for _ in range(3):
        link = meeting.link()
        if not server:
            take(link, 50)
            exchange(link, 3000)
            link.sock.close()
            continue
        give(link, 50)
        child = os.fork()
        if not child:
            exchange(link, 3000)
            link.sock.close()
            os._exit(0)
        link.sock.close()
        await_child(child)


def play_passed(meeting):
    """A socket that is handed to another process over a socket."""
    link = meeting.link()
    if not server:
        exchange(link, 3000)
        exchange(link, 4000)
        link.sock.close()
        return
    ours, theirs = socket.socketpair()
    ours, theirs = Link(ours), Link(theirs)
    child = os.fork()
    if not child:
        data, fds, *_ = socket.recv_fds(theirs.sock, 100, 1)
        theirs.moved("in", data)
        got = Link(socket.socket(fileno=fds[0]))
        exchange(got, 4000)
        got.sock.close()
        os._exit(0)
    exchange(link, 3000)
    data = ours.fresh(40)
    ours.moved("out", data[:socket.send_fds(ours.sock, [data],
                                            [link.fileno()])])
    link.sock.close()
    await_child(child)


def play_exec(meeting):
    """The process becomes another program and keeps its connection."""
    link = meeting.link()
    exchange(link, 3000)
    if not server:
        exchange(link, 4000)
        link.sock.close()
        return
    os.set_inheritable(link.fileno(), True)
    child = os.fork()
    if child:
        link.sock.close()
        await_child(child)
        return
    os.execv(sys.executable, [sys.executable, __file__, "executed",
                              str(directory), comm, str(link.fileno())])


def executed(fd):
    global server
    server = True
    link = Link(socket.socket(fileno=fd))
    exchange(link, 4000)
    link.sock.close()


def say(what):
    (directory / f"{what}.{'server' if server else 'client'}").touch()


def wait_file(name):
    until = time.monotonic() + FILE_WAIT_SECONDS
    while not (directory / name).exists():
        assert time.monotonic() < until, name
        time.sleep(0.005)


def play_early(meeting):
    """Bytes before the tracer (not noted), and bytes after."""
    link = meeting.link()
    if server:
        link.sock.sendall(bytes(1000))
    else:
        assert len(link.sock.recv(1000, MSG_WAITALL)) == 1000
    say("ready")
    wait_file("go")
    exchange(link, 5000)
    link.sock.close()


def play_kill(meeting):
    """One end is killed; the other's bytes and its own are all there."""
    link = meeting.link()
    exchange(link, 5000)
    if server:
        child = os.fork()
        if not child:
            give(link, 700)
            os.kill(os.getpid(), signal.SIGKILL)
        link.sock.close()
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
    else:
        take(link, 700)
        assert not link.sock.recv(10)
        link.sock.close()


def play_bulk(meeting):
    """Random bytes, 64 MB one way, not noted; then a second connection."""
    for count in (1024, 1):
        link = meeting.link()
        send_blocks(link, os.urandom(65536), count)
        link.sock.close()


def play_http(meeting):
    """A response of 64 MB, not noted."""
    link = meeting.link()
    head = (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n")
    if not server:
        link.sock.sendall(head[0])
        link.sock.recv(len(head[1]), MSG_WAITALL)
    else:
        link.sock.recv(len(head[0]), MSG_WAITALL)
        link.sock.sendall(head[1])
    send_blocks(link, bytes(65536), 1024)
    link.sock.close()


def send_blocks(link, block, count):
    """The server sends, and pauses: so that the tracer can have its say."""
    for i in range(count):
        if server:
            link.sock.sendall(block)
        else:
            left = len(block)
            while left:
                left -= len(link.sock.recv(left))
        if i % 64 == 0:
            time.sleep(0.05)


def in_family(scenario):
    """The function of SCENARIO[-FAMILY], and the family."""
    name, _, family = scenario.partition("-")
    return globals()[f"play_{name}"], family or "ipv4"


def main():
    global directory, comm, server
    scenario, place, comm = sys.argv[1:4]
    directory = pathlib.Path(place)
    pathlib.Path("/proc/self/comm").write_text(comm)
    signal.alarm(LIFE_SECONDS)
    RANDOM.seed(os.urandom(8))
    if scenario == "executed":
        executed(int(sys.argv[4]))
        return
    play, family = in_family(scenario)
    meeting = Meeting(family)
    child = os.fork()
    server = child != 0
    if not server:
        signal.alarm(LIFE_SECONDS)
    play(meeting)
    if not server:
        os._exit(0)
    await_child(child)


if __name__ == "__main__":
    main()
