#!/usr/bin/env bash
# Installs the Debian packages that tests of test/interop run against Gatehouse: Apache with mod_auth_openidc, Python's
# Authlib. The bare apache2-bin, because the package apache2 would also start a server on port 80.
# Needs apt-get and root. Fails where it cannot install: callers decide what that means.
set -euo pipefail
packages=(apache2-bin libapache2-mod-auth-openidc python3-authlib python3-requests)

if dpkg --status "${packages[@]}" >/dev/null 2>&1; then exit 0; fi
if ! command -v apt-get >/dev/null || [ "$(id -u)" -ne 0 ]; then
  echo "not installed, for want of apt-get or root: ${packages[*]}" >&2
  exit 1
fi

# Two test files may come here at once, and apt-get's lists have a lock that does not wait.
exec 9<"$0"
flock 9
export DEBIAN_FRONTEND=noninteractive
apt-get --quiet=2 update
apt-get --quiet=2 --yes --no-install-recommends -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 install "${packages[@]}" >&2
