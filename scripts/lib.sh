# Sourced by the scripts beside it: how they speak, how a long step shows its progress, how they get root's rights.
# shellcheck shell=bash
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=$root/.cache
logs=$cache/logs
berth=$root/build/berth

# What one clone has compiled, another finds again: paths below the clone are no part of a file's identity.
export CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1

profile=jitsi-video-hosting-170473530355
cluster=jitsi-video-platform-cluster
service=jitsi-video-platform-service
log_group=/ecs/jitsi-video-platform
state=/var/lib/berth
demo_pid=/run/berth-demo.pid # of the daemon that make demo started

say() { printf '%s\n' "$*"; }
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# step "What happens" command…: one line while it runs and one when it is done. In a terminal the line counts seconds and
# shows the command's last line; elsewhere there are plain lines. The whole output is kept; the end of it is shown on failure.
step() {
  local what=$1 began=$SECONDS log status=0
  shift
  mkdir -p "$logs"
  log=$logs/$(printf '%s' "$what" | tr -cs 'A-Za-z0-9' '-' | tr 'A-Z' 'a-z').log
  if [ -t 1 ]; then
    # What a shell starts beside itself does not hear Ctrl-C, unless it is told to: a build would go on unseen.
    (trap - INT QUIT; "$@") >"$log" 2>&1 </dev/null &
    local job=$! last columns
    columns=$(tput cols 2>/dev/null || echo 80)
    while kill -0 "$job" 2>/dev/null; do
      last=$(tail -c 400 "$log" 2>/dev/null | tr '\r' '\n' | grep -v '^[[:space:]]*$' | tail -n 1 | tr -d '\033' || true)
      printf '\r\033[K%.*s' $((columns - 1)) "$what … $((SECONDS - began)) s  $last"
      sleep 0.3
    done
    wait "$job" || status=$?
    printf '\r\033[K'
  else
    say "$what …"
    "$@" >"$log" 2>&1 </dev/null || status=$?
  fi
  if [ "$status" -ne 0 ]; then
    say "$what: failed after $((SECONDS - began)) s. The end of $log:" >&2
    tail -n 20 "$log" | sed 's/^/    /' >&2
    exit 1
  fi
  say "$what: done in $((SECONDS - began)) s"
}

# as_root command…: as it is for root, through sudo for others. Never asks: a sudo that wants a password is told of first.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n -- "$@"; fi
}
need_root_rights() {
  [ "$(id -u)" -eq 0 ] && return
  command -v sudo >/dev/null || die "this needs root's rights and there is no sudo. Run it as root."
  sudo -n true 2>/dev/null || die "this needs root's rights. Run 'sudo -v' (it asks for your password), then this again."
}

# Free space where it is needed, in MB.
need_disk() {
  local where=$1 needed=$2 free
  while [ ! -d "$where" ]; do where=$(dirname "$where"); done
  free=$(df --output=avail -m "$where" | tail -n 1 | tr -d ' ')
  [ "$free" -ge "$needed" ] || die "$where has $free MB free and $needed MB are needed. Make room there, then run this again."
}

is_debian_12() { . /etc/os-release 2>/dev/null && [ "${ID:-}" = debian ] && [ "${VERSION_ID:-}" = 12 ]; }

missing_packages() { # names of lists → the packages of them that are not installed
  local list package
  for list in "$@"; do
    while read -r package; do
      dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || printf '%s\n' "$package"
    done < <(sed 's/#.*//' "$root/scripts/packages.$list" | tr -s ' \t' '\n' | grep .)
  done | sort -u
}

# install_packages build run…: says what it will install, then installs it. Nothing missing, nothing done.
install_packages() {
  local missing
  mapfile -t missing < <(missing_packages "$@")
  [ "${#missing[@]}" -eq 0 ] && return
  command -v apt-get >/dev/null || die "this installs Debian packages and there is no apt-get. Berth is built on Debian 12."
  is_debian_12 || say "note: this is not Debian 12; its packages may have other names here"
  say "Debian packages to install: ${missing[*]}"
  need_root_rights
  need_disk /var/cache/apt 2000
  step "Reading package lists" as_root apt-get update -q
  step "Installing ${#missing[@]} Debian packages" as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -q --no-install-recommends -o Dpkg::Use-Pty=0 "${missing[@]}"
}

# An aws that knows endpoints in profiles: version 2 of at least 2.13, ours where the machine has none.
aws_v2() {
  local found version
  if found=$(command -v aws) && version=$("$found" --version 2>/dev/null); then
    case $version in
      aws-cli/2.[0-9].* | aws-cli/2.1[0-2].*) ;;
      aws-cli/2.*) printf '%s\n' "$found"; return ;;
    esac
  fi
  "$root/scripts/awscli2"
}

# What in a person's environment leads the AWS CLI elsewhere than a profile says, as commands that put it right.
leads_elsewhere() {
  local name
  for name in "${!AWS_ENDPOINT_URL@}"; do say "unset $name    # it would outrank the profile's endpoint"; done
  [ -z "${HTTP_PROXY:-}${http_proxy:-}" ] || [[ ",${NO_PROXY:-${no_proxy:-}}," == *",127.0.0.1,"* ]] ||
    say "export NO_PROXY=127.0.0.1\${NO_PROXY:+,\$NO_PROXY} no_proxy=127.0.0.1\${no_proxy:+,\$no_proxy}    # no proxy leads to this machine"
}

# The person's own AWS files, where the environment names them: sudo does not hand it on.
berth_configure() {
  as_root env ${AWS_CONFIG_FILE:+"AWS_CONFIG_FILE=$AWS_CONFIG_FILE"} \
    ${AWS_SHARED_CREDENTIALS_FILE:+"AWS_SHARED_CREDENTIALS_FILE=$AWS_SHARED_CREDENTIALS_FILE"} \
    "$berth" configure "$@"
}

# The address of the platform's running task, or nothing.
platform_address() {
  as_root "$berth" ps --json 2>/dev/null | python3 -c '
import json, sys
try: tasks = json.load(sys.stdin)["tasks"]
except ValueError: tasks = []
for task in tasks:
    if task.get("group") == "service:'"$service"'" and task.get("lastStatus") == "RUNNING":
        details = [d for a in task.get("attachments", []) for d in a.get("details", [])]
        print(next((d["value"] for d in details if d["name"] == "privateIPv4Address"), ""))
        break'
}
