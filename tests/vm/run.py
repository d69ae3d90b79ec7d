"""Boots stock Debian 12 under qemu and lets `inside` check Berth there. Exit status 0 when every check passed.

The machine reboots itself once; then it asks for its power to be cut, which is a SIGKILL of qemu: what the kernel in it had not yet
written to its disk is lost. It is booted once more from that disk.

run.py [--keep-log FILE]    needs root (for the root file system), qemu-system-x86, mmdebstrap and e2fsprogs
"""
import argparse
import hashlib
import inspect
import os
import pathlib
import re
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CACHE = ROOT / ".cache/vm"
WITHIN_S = 720  # for all its boots
SILENT_S = 200  # a check inside gives up after 120, and tells where it was
CUT, OK = "vm: cut the power", "vm: ok"  # what the machine says last
BUILD = pathlib.Path(os.environ.get("BERTH_BUILD", ROOT / "build"))

# Beside Berth's own runtime packages: a kernel, an init, and what the checks themselves use.
MACHINE_PACKAGES = ["linux-image-cloud-amd64", "systemd-sysv", "udev", "dbus", "kmod", "make", "curl", "jq", "procps", "iproute2"]

UNIT = """[Unit]
Description=Checks of Berth in this machine
After=multi-user.target
RequiresMountsFor=/mnt
[Service]
Type=simple
ExecStart=/mnt/inside
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
[Install]
WantedBy=multi-user.target
"""


def fail(message):
    sys.exit(f"test-vm: {message}")


def run(*command):
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        fail(f"{command[0]}: exit status {done.returncode}\n" + "\n".join(done.stdout.splitlines()[-15:]))


def runtime_packages():
    lines = (ROOT / "scripts/packages.run").read_text().splitlines()
    return [word for line in lines for word in line.split("#")[0].split()]


def make_root(packages):
    """The machine's disk, its kernel and initrd, made once for each list of packages."""
    key = hashlib.sha256(("\n".join(packages) + UNIT + inspect.getsource(make_root)).encode()).hexdigest()[:16]
    home = CACHE / key
    if (home / "root.img").exists():
        return home
    print("test-vm: making the machine's root file system (once, about a minute)", flush=True)
    CACHE.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(CACHE).free < 5 << 30:
        fail(f"less than 5 GiB free under {CACHE}. Make room there.")
    for old in CACHE.iterdir():
        shutil.rmtree(old)
    work = pathlib.Path(tempfile.mkdtemp(prefix="making-", dir=CACHE))
    try:
        root = work / "root"
        mirror = os.environ.get("BERTH_DEBIAN_MIRROR")
        run("mmdebstrap", "--quiet", "--variant=minbase", "--include=" + ",".join(packages),
            *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale")),
            "--aptopt=APT::Install-Recommends \"false\"", "bookworm", root, *([mirror] if mirror else []))
        (root / "etc/fstab").write_text("/dev/vda / ext4 defaults 0 1\n/dev/vdb /mnt ext4 ro 0 0\n")
        (root / "etc/hostname").write_text("vm\n")
        (root / "etc/systemd/system/vm-test.service").write_text(UNIT)
        wants = root / "etc/systemd/system/multi-user.target.wants"
        wants.mkdir(parents=True, exist_ok=True)
        (wants / "vm-test.service").symlink_to("../vm-test.service")
        (root / "etc/systemd/system/serial-getty@ttyS0.service").symlink_to("/dev/null")
        for name, pattern in (("kernel", "vmlinuz-*"), ("initrd", "initrd.img-*")):
            shutil.copy(next((root / "boot").glob(pattern)), work / name)
        run("mkfs.ext4", "-q", "-F", "-d", root, "-L", "root", work / "root.img", "3G")
        shutil.rmtree(root)
        work.rename(home)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    return home


def make_payload(directory):
    """What was built outside, as the README's install command takes it, a small image, and the checks."""
    sys.path.insert(0, str(ROOT / "tests/clients"))
    from berth_world import make_busybox_layout
    tree = directory / "payload"
    (tree / "berth/build").mkdir(parents=True)
    # What `make install` takes: the Makefile is the list.
    for program in sorted(set(re.findall(r"build/(berth[a-z-]*)", (ROOT / "Makefile").read_text()))):
        source = BUILD / program
        if not source.exists():
            fail(f"there is no {source}. Run: make build")
        run("strip", "-o", tree / "berth/build" / program, source.resolve())
        (tree / "berth/build" / program).chmod(0o755)
    shutil.copy(ROOT / "Makefile", tree / "berth")
    shutil.copytree(ROOT / "packaging", tree / "berth/packaging")
    (tree / "berth/docs").mkdir()
    shutil.copy(ROOT / "docs/operations.md", tree / "berth/docs")
    shutil.copy(HERE / "inside", tree)
    layout = make_busybox_layout(directory)
    shutil.copytree(layout, tree / "image", symlinks=True)
    run("mkfs.ext4", "-q", "-F", "-d", tree, "-L", "payload", directory / "payload.img", "256M")
    return directory / "payload.img"


class Machine:
    """The machine and its disk: what it wrote stays from one boot to the next, the cached root file system as it was."""

    def __init__(self, home, directory, log):
        self.home, self.log = home, log
        self.payload = make_payload(directory)
        self.disk = directory / "disk.qcow2"
        self.began, self.passed = time.monotonic(), 0
        run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", home / "root.img", self.disk)
        log.write_bytes(b"")

    def boot(self, last_words):
        """Until it says one of these, or that a check failed, or ends. Its power is cut then. Returns what it said."""
        command = ["qemu-system-x86_64", "-machine", "pc", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "2048",
                   "-display", "none", "-nodefaults", "-serial", "stdio", "-kernel", self.home / "kernel",
                   "-initrd", self.home / "initrd",
                   "-append", "root=/dev/vda rw console=ttyS0 quiet systemd.show_status=0 loglevel=3 net.ifnames=0",
                   "-drive", f"file={self.disk},if=virtio,format=qcow2",
                   "-drive", f"file={self.payload},if=virtio,format=raw,readonly=on", "-device", "virtio-rng-pci"]
        machine = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   stdin=subprocess.DEVNULL)
        try:
            return self._follow(machine.stdout, last_words)
        finally:
            machine.kill()
            machine.wait()

    def _follow(self, console, last_words):
        rest, failed = b"", None
        with open(self.log, "ab") as file, selectors.DefaultSelector() as selector:
            selector.register(console, selectors.EVENT_READ)
            while True:
                left = WITHIN_S - (time.monotonic() - self.began)
                spoke = left > 0 and selector.select(min(left, SILENT_S))
                if not spoke:
                    how = f"has said nothing for {SILENT_S} s" if left > SILENT_S else f"did not finish within {WITHIN_S} s"
                    fail(f"the machine {how}; {self.passed} checks had passed. Its console: {self.log}")
                chunk = os.read(console.fileno(), 65536)
                if not chunk:
                    return failed  # after a failed check it tells what it knows before it ends
                file.write(chunk)
                file.flush()
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line.decode(errors="replace")).strip()
                    if not text.startswith("vm: "):
                        continue
                    print(f"{time.monotonic() - self.began:4.0f} s  {text[4:]}", flush=True)
                    self.passed += text.startswith("vm: pass")
                    if text in last_words:
                        return text
                    if text.startswith("vm: FAILED"):
                        failed = text


def check(machine):
    verdict = machine.boot([CUT])
    if verdict == CUT:
        verdict = machine.boot([OK])
    if verdict != OK:
        print("\n".join(machine.log.read_text(errors="replace").splitlines()[-60:]))
    print(f"test-vm: {machine.passed} checks passed, {verdict or 'no verdict'}, {time.monotonic() - machine.began:.0f} s")
    return verdict == OK


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--keep-log", default=str(ROOT / ".cache/logs/vm-console.log"))
    log = pathlib.Path(arguments.parse_args().keep_log)
    # Who started this gives up: the machine must not run on without anybody.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    for program in ("qemu-system-x86_64", "qemu-img", "mmdebstrap", "mkfs.ext4", "umoci", "busybox", "strip"):
        if not shutil.which(program):
            fail(f"{program} is not installed. 'make test' installs what it needs (scripts/packages.test).")
    if os.geteuid() != 0:
        fail("making a root file system needs root. Run it with sudo.")
    log.parent.mkdir(parents=True, exist_ok=True)
    home = make_root(sorted({*runtime_packages(), *MACHINE_PACKAGES}))
    with tempfile.TemporaryDirectory(prefix="berth-vm-") as directory:
        sys.exit(0 if check(Machine(home, pathlib.Path(directory), log)) else 1)


if __name__ == "__main__":
    main()
