"""The resolver from inside a task's namespace: its own zones, what goes outside, and what becomes of it without the daemon."""
import os
import shutil
import socket
import struct
import subprocess
import threading
import time

import pytest

import resolver_world as rw
from resolver_world import A, AAAA, CNAME, PTR, SRV

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="makes network namespaces")


@pytest.fixture
def world(tmp_path):
    made = rw.World(tmp_path)
    yield made
    made.close()


@pytest.fixture
def daemon(world):
    daemon = world.start()
    daemon.tell(rw.settings(), rw.listener(f"/run/netns/{world.vpc}"), rw.zone("corp.local"),
                rw.service("corp.local", "web"), rw.instance("corp.local", "web", "i-1", "10.0.1.7"))
    return daemon


def addresses(answer):
    return sorted(record[3] for record in answer[1])


def echo(address, ttl=30):
    """An upstream that gives every name one address."""

    def answer(message, _tcp):
        head = struct.pack(">HHHHHH", struct.unpack_from(">H", message)[0], 0x8180, 1, 1, 0, 0)
        end = message.index(b"\0", 12) + 5
        return head + message[12:end] + struct.pack(">HHHIH", 0xC00C, A, 1, ttl, 4) + socket.inet_aton(address)

    return answer


def test_both_addresses_and_both_protocols(world, daemon):
    for server in ("10.0.0.2", "169.254.169.253"):
        for tcp in (False, True):
            code, found, _, _ = world.ask("web.corp.local", server=server, tcp=tcp)
            assert (code, found) == (0, [("web.corp.local", A, 60, "10.0.1.7")])


def test_negative_answers(world, daemon):
    assert world.ask("nobody.corp.local")[0] == 3
    code, found, authority, _ = world.ask("web.corp.local", AAAA)
    assert (code, found, authority) == (0, [], 1)


def test_case_is_kept(world, daemon):
    mixed = rw.question("wEb.CoRp.lOcAl")
    assert mixed[12:] in world.ask_bytes(mixed)


def test_changes_are_answered_at_once(world, daemon):
    for i in range(2, 12):
        daemon.tell(rw.instance("corp.local", "web", f"i-{i}", f"10.0.1.{i + 10}"))
    assert len(addresses(world.ask("web.corp.local"))) == 8
    for i in range(1, 12):
        daemon.tell(rw.change(rw.INSTANCE, zone="corp.local", service="web", id=f"i-{i}"))
    assert world.ask("web.corp.local")[0] == 3


def test_what_is_not_ours_goes_to_the_hosts_servers(world, daemon):
    upstream = world.upstream(echo("192.0.2.1"))
    for _ in range(8):
        assert addresses(world.ask("www.example.com")) == ["192.0.2.1"]
    assert addresses(world.ask("www.example.com", tcp=True)) == ["192.0.2.1"]
    # Neither ids nor ports can be guessed from the last ones.
    assert len(upstream.ids) == 8 and len(upstream.ports) == 8
    # A private zone has no other side.
    asked = upstream.asked
    assert world.ask("nobody.corp.local")[0] == 3
    assert upstream.asked == asked


def test_a_server_that_is_not_there_and_one_that_is(world, daemon):
    started = time.monotonic()
    assert world.ask("www.example.com")[0] == 2  # SERVFAIL: nobody listens
    assert time.monotonic() - started < 2
    world.resolv_conf.write_text("search x\nnameserver 127.0.0.2\nnameserver 127.0.0.1\n")
    world.upstream(echo("192.0.2.1"))
    threading.Event().wait(1.1)  # No event: the file is looked at once a second, when there is something to ask
    assert addresses(world.ask("www.example.com")) == ["192.0.2.1"]


def test_answers_that_were_not_asked_for_are_not_believed(world, daemon):
    honest = echo("192.0.2.1")

    def forging(message, tcp):
        wrong_id = bytes([message[0] ^ 1]) + message[1:]
        forged.udp.sendto(echo("6.6.6.6")(wrong_id, tcp), (("127.0.0.1"), list(forged.ports)[-1]))
        other_name = rw.question("other.example.com", id=struct.unpack_from(">H", message)[0])
        forged.udp.sendto(echo("6.6.6.6")(other_name, tcp), (("127.0.0.1"), list(forged.ports)[-1]))
        return honest(message, tcp)

    forged = world.upstream(forging)
    assert addresses(world.ask("www.example.com")) == ["192.0.2.1"]


def test_a_name_that_leads_outside_is_completed(world, daemon):
    world.upstream(echo("192.0.2.9"))
    daemon.tell(rw.service("corp.local", "ext", (CNAME,), weighted=True),
                rw.instance("corp.local", "ext", "i", cname="www.example.com"))
    _, found, _, _ = world.ask("ext.corp.local")
    assert [(record[0], record[1], record[3]) for record in found] == [
        ("ext.corp.local", CNAME, "www.example.com"), ("www.example.com", A, "192.0.2.9")]


def test_srv_and_the_name_it_points_at(world, daemon):
    daemon.tell(rw.service("corp.local", "_x._tcp", (SRV,)),
                rw.instance("corp.local", "_x._tcp", "task1", "10.0.1.8", port=8080))
    _, found, _, _ = world.ask("_x._tcp.corp.local", SRV)
    assert found[0][3] == (1, 1, 8080, "task1._x._tcp.corp.local")
    assert addresses(world.ask("task1._x._tcp.corp.local")) == ["10.0.1.8"]


def test_names_of_interfaces(world, daemon):
    assert addresses(world.ask("ip-10-0-1-5.eu-central-1.compute.internal")) == ["10.0.1.5"]
    assert addresses(world.ask("5.1.0.10.in-addr.arpa", PTR)) == ["ip-10-0-1-5.eu-central-1.compute.internal"]


def test_without_dns_support_nobody_answers(world, daemon):
    daemon.tell(rw.settings(support=False))
    for tcp in (False, True):
        with pytest.raises(ConnectionRefusedError):
            world.ask("web.corp.local", tcp=tcp)
    daemon.tell(rw.settings())
    assert addresses(world.ask("web.corp.local")) == ["10.0.1.7"]


def test_names_outlive_the_daemon_and_its_next_start(world, daemon):
    daemon.socket.close()
    assert addresses(world.ask("web.corp.local")) == ["10.0.1.7"]
    following = world.daemon()
    following.send(rw.BEGIN)
    following.send(rw.CHANGES, [rw.settings(), rw.zone("corp.local"), rw.service("corp.local", "web")])
    assert addresses(world.ask("web.corp.local")) == ["10.0.1.7"]  # half a snapshot does not count
    following.send(rw.CHANGES, [rw.instance("corp.local", "web", "i-1", "10.0.1.9")])
    following.send(rw.END)
    following.settled()
    assert addresses(world.ask("web.corp.local")) == ["10.0.1.9"]
    # A daemon that dies in the middle of telling changes nothing.
    following.send(rw.BEGIN)
    following.socket.close()
    last = world.daemon()
    assert addresses(world.ask("web.corp.local")) == ["10.0.1.9"]
    last.send(rw.KEEP, names=[])
    last.settled()
    with pytest.raises(ConnectionRefusedError):
        world.ask("web.corp.local")


def test_a_namespace_that_is_made_anew(world, daemon):
    path = f"/run/netns/{world.vpc}"
    daemon.tell(rw.change(rw.LISTENER))
    world.ip("netns", "del", world.vpc)
    # Nothing of the resolver's holds the old one: its link goes, and with it the task's end.
    pause = threading.Event()
    for _ in range(500):
        if "eth0" not in world.run_in_task("ip", "link").stdout:
            break
        pause.wait(0.01)  # No event: the kernel ends namespaces in its own time
    else:
        pytest.fail("the namespace lives on")
    world.ip("netns", "add", world.vpc)
    daemon.tell(rw.listener(path))


def test_many_tcp_clients_and_broken_messages(world, daemon):
    clients = []
    with rw.Inside(world.task):
        for _ in range(300):  # more than are served at once
            client = socket.socket()
            client.settimeout(5)
            client.connect(("10.0.0.2", 53))
            clients.append(client)
    answered = 0
    for client in clients:
        message = rw.question("web.corp.local")
        try:
            client.sendall(struct.pack(">H", len(message)) + message)
            answered += client.recv(2) != b""
        except OSError:
            pass
        client.close()
    assert answered == 256  # limits::kDnsTcpClientsMax
    with rw.Inside(world.task):
        raw = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    raw.settimeout(5)
    raw.connect(("10.0.0.2", 53))
    raw.send(b"\x12\x34\x01\x00\x00\x02" + b"\0" * 6)
    assert raw.recv(512)[3] & 15 == 1  # FORMERR
    raw.close()
    assert addresses(world.ask("web.corp.local")) == ["10.0.1.7"]


GETADDRINFO = r"""
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <arpa/inet.h>
int main(int argc, char **argv) {
  struct addrinfo hints, *found;
  memset(&hints, 0, sizeof hints);
  hints.ai_socktype = SOCK_STREAM;
  int error = getaddrinfo(argv[1], 0, &hints, &found);
  if (error) return printf("%s\n", gai_strerror(error)), 1;
  for (; found; found = found->ai_next) {
    char text[64];
    inet_ntop(AF_INET, &((struct sockaddr_in *)found->ai_addr)->sin_addr, text, sizeof text);
    puts(text);
  }
}
"""


@pytest.mark.parametrize("compiler", ["cc", "musl-gcc"])
def test_c_libraries(world, daemon, tmp_path, compiler):
    if not shutil.which(compiler):
        pytest.skip(f"{compiler} is not installed")
    (tmp_path / "ask.c").write_text(GETADDRINFO)
    subprocess.run([compiler, "-o", tmp_path / "ask", tmp_path / "ask.c"], check=True)
    (tmp_path / "task.conf").write_text("search corp.local\nnameserver 10.0.0.2\n")
    daemon.tell(*[rw.instance("corp.local", "web", f"i-{i}", f"10.0.1.{i + 10}") for i in range(2, 6)])

    def ask(name):
        return world.run_in_task("unshare", "-m", "sh", "-c",
                                 f"mount --bind {tmp_path}/task.conf /etc/resolv.conf && exec {tmp_path}/ask {name}")

    expected = ["10.0.1.12", "10.0.1.13", "10.0.1.14", "10.0.1.15", "10.0.1.7"]
    assert sorted(set(ask("web.corp.local").stdout.split())) == expected
    assert sorted(set(ask("web").stdout.split())) == expected
    assert ask("nobody.corp.local").returncode == 1
