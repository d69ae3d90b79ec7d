"""The scripts behind make, as far as they can be tried without installing and building."""
import os
import pty
import signal
import subprocess
import time

from berth_world import REPOSITORY, eventually, process_alive


def test_ctrl_c_ends_the_step_that_runs(new_directory):
    """In a terminal, whose shell goes on afterwards: a build must not go on unseen."""
    script = new_directory / "long"
    script.write_text(f"""#!/usr/bin/env bash
. {REPOSITORY}/scripts/lib.sh
logs={new_directory}
step "Working" sh -c 'echo $$ >{new_directory}/pid; exec sleep 1000'
""")
    script.chmod(0o755)
    pid = None
    shell, terminal = pty.fork()
    if shell == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # ignored where these tests run in a shell's background
        os.execvp("bash", ["bash", "--norc", "-i"])
    try:
        os.write(terminal, f"{script}\n".encode())
        pid = int(eventually(lambda: (new_directory / "pid").exists() and (new_directory / "pid").read_text().strip(), "the step begins"))
        eventually(lambda: os.path.basename(os.readlink(f"/proc/{pid}/exe")) == "sleep", "it works")
        os.write(terminal, b"\x03")
        eventually(lambda: not process_alive(pid), "the step has ended", 5)
        assert process_alive(shell), "and the shell that it was started from has not"
    finally:
        if pid and process_alive(pid):
            os.kill(pid, signal.SIGKILL)
        os.write(terminal, b"\nexit\n")
        time.sleep(0.2)
        os.close(terminal)
        os.waitpid(shell, 0)


def test_an_environment_that_leads_the_aws_cli_elsewhere_is_put_right():
    def hints(**environment):
        done = subprocess.run(["bash", "-c", f". {REPOSITORY}/scripts/lib.sh; leads_elsewhere; eval \"$(leads_elsewhere)\"; echo --; leads_elsewhere"],
                              capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"], **environment})
        first, second = done.stdout.split("--\n")
        assert second == "", "what it says helps"
        return [line.split("    #")[0] for line in first.splitlines()]

    assert hints() == []
    assert hints(AWS_ENDPOINT_URL="http://x", AWS_ENDPOINT_URL_ECS="http://y") == ["unset AWS_ENDPOINT_URL", "unset AWS_ENDPOINT_URL_ECS"]
    assert len(hints(http_proxy="http://proxy:3128", no_proxy="example.com")) == 1
    assert hints(http_proxy="http://proxy:3128", no_proxy="localhost,127.0.0.1") == []
