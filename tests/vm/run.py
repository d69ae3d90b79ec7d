"""Boots stock Debian 12 under qemu and lets `inside` check Berth there. Exit status 0 when every check passed.

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
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CACHE = ROOT / ".cache/vm"
WITHIN_S = 480
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


def boot(home, payload, log):
    """Runs the machine to its end; returns True when its checks said ok."""
    command = ["qemu-system-x86_64", "-machine", "pc", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "2048",
               "-display", "none", "-nodefaults", "-serial", "stdio", "-kernel", home / "kernel", "-initrd", home / "initrd",
               "-append", "root=/dev/vda rw console=ttyS0 quiet systemd.show_status=0 loglevel=3 net.ifnames=0",
               "-drive", f"file={home / 'root.img'},if=virtio,format=raw,snapshot=on",
               "-drive", f"file={payload},if=virtio,format=raw,readonly=on", "-device", "virtio-rng-pci"]
    began, passed, verdict, rest = time.monotonic(), 0, None, b""
    machine = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               stdin=subprocess.DEVNULL)
    try:
        with open(log, "wb") as file, selectors.DefaultSelector() as selector:
            selector.register(machine.stdout, selectors.EVENT_READ)
            while True:
                left = WITHIN_S - (time.monotonic() - began)
                if left <= 0 or not selector.select(left):
                    fail(f"the machine did not finish within {WITHIN_S} s; {passed} checks had passed. Its console: {log}")
                chunk = os.read(machine.stdout.fileno(), 65536)
                if not chunk:
                    break
                file.write(chunk)
                file.flush()
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line.decode(errors="replace")).strip()
                    if not text.startswith("vm: "):
                        continue
                    print(f"{time.monotonic() - began:4.0f} s  {text[4:]}", flush=True)
                    passed += text.startswith("vm: pass")
                    if text == "vm: ok" or text.startswith("vm: FAILED"):
                        verdict = text
        if verdict != "vm: ok":
            tail = pathlib.Path(log).read_text(errors="replace").splitlines()[-60:]
            print("\n".join(tail))
    finally:
        machine.kill()
        machine.wait()
    print(f"test-vm: {passed} checks passed, {verdict or 'no verdict'}, {time.monotonic() - began:.0f} s")
    return verdict == "vm: ok"


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--keep-log", default=str(ROOT / ".cache/logs/vm-console.log"))
    log = pathlib.Path(arguments.parse_args().keep_log)
    for program in ("qemu-system-x86_64", "mmdebstrap", "mkfs.ext4", "umoci", "busybox", "strip"):
        if not shutil.which(program):
            fail(f"{program} is not installed. 'make test' installs what it needs (scripts/packages.test).")
    if os.geteuid() != 0:
        fail("making a root file system needs root. Run it with sudo.")
    log.parent.mkdir(parents=True, exist_ok=True)
    home = make_root(sorted({*runtime_packages(), *MACHINE_PACKAGES}))
    with tempfile.TemporaryDirectory(prefix="berth-vm-") as directory:
        sys.exit(0 if boot(home, make_payload(pathlib.Path(directory)), log) else 1)


if __name__ == "__main__":
    main()
