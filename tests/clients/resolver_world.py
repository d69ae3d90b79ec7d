"""A resolver in network namespaces of its own: one is the host's, one a VPC's, one a task's.

    task ns 10.0.1.5 ──veth── VPC ns (10.0.0.2, 169.254.169.253)      host ns: berth-resolver, name servers on its loopback
"""
import os
import pathlib
import select
import socket
import struct
import subprocess
import threading
import uuid

BERTH = pathlib.Path(os.environ.get("BERTH_PROGRAM", "build/berth")).resolve()
PROGRAM = BERTH.parent / "berth-resolver"
A, NS, CNAME, SOA, PTR, AAAA, SRV, OPT = 1, 2, 5, 6, 12, 28, 33, 41
VPC, HOST, ZONE, SERVICE, INSTANCE, LISTENER = range(1, 7)
HELLO, BEGIN, CHANGES, END, KEEP, DONE, TROUBLE = range(1, 8)


def text(value):
    value = value.encode() if isinstance(value, str) else value
    return struct.pack("<I", len(value)) + value


def texts(values):
    return struct.pack("<I", len(values)) + b"".join(text(value) for value in values)


def change(kind, vpc="vpc-1", zone="", service="", id="", body=None):
    erased = body is None
    return struct.pack("<B", kind) + text(vpc) + text(zone) + text(service) + text(id) + bytes([erased]) + text(
        body or b"")


def settings(support=True, hostnames=True, cidrs=("10.0.0.0/16",), vpc="vpc-1"):
    return change(VPC, vpc, body=text("eu-central-1") + texts(cidrs) + bytes([support, hostnames]))


def zone(name, soa_ttl=15, vpc="vpc-1"):
    return change(ZONE, vpc, name, body=struct.pack("<I", soa_ttl))


def service(in_zone, name, types=(A,), ttl=60, weighted=False, vpc="vpc-1"):
    body = bytes([weighted]) + struct.pack("<I", len(types)) + b"".join(struct.pack("<H", t) for t in types)
    body += struct.pack("<I", len(types)) + b"".join(struct.pack("<I", ttl) for _ in types)
    return change(SERVICE, vpc, in_zone, name, body=body)


def instance(in_zone, name, id, ipv4="", ipv6="", port=0, cname="", alias="", healthy=True, vpc="vpc-1"):
    body = text(ipv4) + text(ipv6) + struct.pack("<H", port) + text(cname) + text(alias) + bytes([healthy])
    return change(INSTANCE, vpc, in_zone, name, id, body)


def listener(path, addresses=("10.0.0.2", "169.254.169.253"), vpc="vpc-1"):
    packed = [struct.unpack(">I", socket.inet_aton(address))[0] for address in addresses]
    body = text(path) + struct.pack("<I", len(packed)) + b"".join(struct.pack("<I", p) for p in packed)
    return change(LISTENER, vpc, body=body)


class Daemon:
    """What the daemon does: tells the resolver of zones."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        self.socket.connect(path)
        self.version = 0
        assert self.read()[0] == HELLO

    def exactly(self, count):
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            assert more, "the resolver has closed the connection"
            data += more
        return data

    def read(self):
        frame = self.exactly(struct.unpack("<I", self.exactly(4))[0])
        return frame[0], struct.unpack_from("<Q", frame, 1)[0], frame

    def send(self, kind, changes=(), names=()):
        self.version += 1
        frame = struct.pack("<BQ", kind, self.version) + struct.pack("<I", len(changes))
        frame += b"".join(text(one) for one in changes) + texts(names) + text("")
        self.socket.sendall(struct.pack("<I", len(frame)) + frame)

    def tell(self, *changes):
        self.send(CHANGES, changes)
        self.settled()

    def settled(self):
        while True:
            kind, version, frame = self.read()
            assert kind != TROUBLE, frame
            if kind == DONE and version == self.version:
                return


class Upstream(threading.Thread):
    """A name server on the host's loopback: `answer` makes a message of one. Counts what it is asked."""

    def __init__(self, namespace, answer, address="127.0.0.1"):
        super().__init__(daemon=True)
        self.answer, self.asked, self.ids, self.ports = answer, 0, set(), set()
        self.wake, self.woken = os.pipe()
        with Inside(namespace):
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.udp.bind((address, 53))
            self.tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.tcp.bind((address, 53))
            self.tcp.listen(8)
        self.start()

    def run(self):
        while True:
            readable, _, _ = select.select([self.udp, self.tcp, self.wake], [], [])
            if self.wake in readable:
                return
            if self.udp in readable:
                message, peer = self.udp.recvfrom(4096)
                self.asked += 1
                self.ids.add(message[:2])
                self.ports.add(peer[1])
                reply = self.answer(message, False)
                if reply:
                    self.udp.sendto(reply, peer)
            if self.tcp in readable:
                client, _ = self.tcp.accept()
                length = struct.unpack(">H", client.recv(2, socket.MSG_WAITALL))[0]
                reply = self.answer(client.recv(length, socket.MSG_WAITALL), True)
                self.asked += 1
                if reply:
                    client.sendall(struct.pack(">H", len(reply)) + reply)
                client.close()

    def close(self):
        os.write(self.woken, b"x")
        self.join()
        for one in (self.udp, self.tcp):
            one.close()
        os.close(self.wake), os.close(self.woken)


class Inside:
    """This thread in a network namespace."""

    def __init__(self, name):
        self.path = name if name.startswith("/") else f"/run/netns/{name}"

    def __enter__(self):
        self.home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        self.enter(os.open(self.path, os.O_RDONLY), close=True)

    def __exit__(self, *_):
        self.enter(self.home, close=True)

    @staticmethod
    def enter(fd, close):
        import ctypes

        assert ctypes.CDLL(None, use_errno=True).setns(fd, 0x40000000) == 0
        if close:
            os.close(fd)


def name_bytes(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.strip(".").split(".")) + b"\0"


def question(name, type=A, id=0x1234, edns=0, flags=0x0100):
    message = struct.pack(">HHHHHH", id, flags, 1, 0, 0, 1 if edns else 0) + name_bytes(name)
    message += struct.pack(">HH", type, 1)
    return message + (b"\0" + struct.pack(">HHIH", OPT, edns, 0, 0) if edns else b"")


def records(message):
    """(code, [(owner, type, ttl, data)], authority's count, flags)"""
    _, flags, questions, answers, authority, _ = struct.unpack_from(">HHHHHH", message)

    def read(at):
        labels, end = [], None
        while True:
            length = message[at]
            if length & 0xC0:
                end = end or at + 2
                at = struct.unpack_from(">H", message, at)[0] & 0x3FFF
            elif length == 0:
                return ".".join(labels), end or at + 1
            else:
                labels.append(message[at + 1:at + 1 + length].decode())
                at += 1 + length

    at = 12
    for _ in range(questions):
        at = read(at)[1] + 4
    out = []
    for _ in range(answers):
        owner, at = read(at)
        type, _, ttl, size = struct.unpack_from(">HHIH", message, at)
        at += 10
        data = message[at:at + size]
        if type == A:
            data = socket.inet_ntoa(data)
        elif type in (CNAME, PTR, NS):
            data = read(at)[0]
        elif type == SRV:
            data = struct.unpack_from(">HHH", message, at) + (read(at + 6)[0],)
        out.append((owner, type, ttl, data))
        at += size
    return flags & 15, out, authority, flags


class World:
    def __init__(self, tmp_path):
        mark = uuid.uuid4().hex[:6]
        self.host, self.vpc, self.task = (f"bt{mark}{part}" for part in "hvt")
        self.directory = tmp_path
        self.resolv_conf = tmp_path / "resolv.conf"
        self.resolv_conf.write_text("nameserver 127.0.0.1\n")
        self.path = str(tmp_path / "resolver.sock")
        self.upstreams, self.process = [], None
        for name in (self.host, self.vpc, self.task):
            self.ip("netns", "add", name)
            self.ip("-n", name, "link", "set", "lo", "up")
        self.ip("-n", self.vpc, "link", "add", "t0", "type", "veth", "peer", "name", "eth0", "netns", self.task)
        self.ip("-n", self.vpc, "link", "set", "t0", "up")
        self.ip("-n", self.vpc, "addr", "add", "10.0.1.1/24", "dev", "t0")
        self.ip("-n", self.task, "addr", "add", "10.0.1.5/24", "dev", "eth0")
        self.ip("-n", self.task, "link", "set", "eth0", "up")
        self.ip("-n", self.task, "route", "add", "default", "via", "10.0.1.1")

    @staticmethod
    def ip(*arguments):
        subprocess.run(["ip", *arguments], check=True, capture_output=True)

    def start(self, program=PROGRAM):
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", self.host, str(program), self.path, str(self.resolv_conf)])
        return self.daemon()

    def daemon(self):
        pause = threading.Event()
        for _ in range(500):
            try:
                return Daemon(self.path)
            except OSError:
                pause.wait(0.01)
        raise AssertionError("the resolver does not listen")

    def upstream(self, answer, address="127.0.0.1"):
        self.upstreams.append(Upstream(self.host, answer, address))
        return self.upstreams[-1]

    def ask_bytes(self, message, tcp=False, server="10.0.0.2", timeout=6):
        with Inside(self.task):
            client = socket.socket(socket.AF_INET, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
        with client:
            client.settimeout(timeout)
            client.connect((server, 53))
            client.sendall(struct.pack(">H", len(message)) + message if tcp else message)
            if not tcp:
                return client.recv(65535)
            length = struct.unpack(">H", client.recv(2, socket.MSG_WAITALL))[0]
            return client.recv(length, socket.MSG_WAITALL)

    def ask(self, name, type=A, **rest):
        keep = {key: rest.pop(key) for key in ("edns", "id", "flags") if key in rest}
        return records(self.ask_bytes(question(name, type, **keep), **rest))

    def run_in_task(self, *arguments, **rest):
        return subprocess.run(["ip", "netns", "exec", self.task, *arguments], capture_output=True, text=True,
                              timeout=30, **rest)

    def close(self):
        if self.process:
            self.process.kill()
            self.process.wait()
        for one in self.upstreams:
            one.close()
        for name in (self.host, self.vpc, self.task):
            subprocess.run(["ip", "netns", "del", name], capture_output=True)
