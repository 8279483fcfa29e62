"""System packages of the tests: a real RabbitMQ and a real Chromium, installed where we may."""

import os
import shutil
import subprocess

from rich.console import Console

from backend.embedded import find_rabbit
from core.base.errors import Unavailable

BROWSERS = ("chromium", "chromium-browser")

# A package must not start its service: the distribution's own broker would sit on the standard ports.
# policy-rc.d tells Debian so; one that is there already is put back afterwards, also after an earlier run was killed.
INSTALL = """
set -e
guard=/usr/sbin/policy-rc.d
[ ! -e $guard ] || [ -e $guard.before-ronda ] || mv $guard $guard.before-ronda
restore() { rm -f $guard; [ ! -e $guard.before-ronda ] || mv $guard.before-ronda $guard; }
trap restore EXIT
trap 'exit 130' INT TERM HUP
printf '#!/bin/sh\\nexit 101\\n' >$guard
chmod 755 $guard
export DEBIAN_FRONTEND=noninteractive
apt-get -q -o DPkg::Lock::Timeout=120 update
apt-get -q -y -o DPkg::Lock::Timeout=120 install --no-install-recommends "$@"
"""


class PackagesMissing(Unavailable):
    code = "packages_missing"


def missing_packages() -> list[str]:
    """Debian's names of what is not installed."""
    missing = [] if find_rabbit() else ["rabbitmq-server"]
    return missing if any(map(shutil.which, BROWSERS)) else [*missing, "chromium"]


def ensure_packages(console: Console) -> None:
    """Installs what is missing with apt-get, as root or through sudo. Raises PackagesMissing with what to install by hand."""
    missing = missing_packages()
    if not missing:
        return
    rights = _root_command()
    if rights is None or not shutil.which("apt-get"):
        raise PackagesMissing(
            f"the tests need {' and '.join(missing)}, which only a system package brings. "
            f"Debian, Ubuntu: sudo apt-get install {' '.join(missing)}; elsewhere: the packages of the same name"
        )
    console.print(f"installing {' and '.join(missing)} with apt-get ...")
    command = [*rights, "sh", "-c", INSTALL, "install", *missing]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)  # noqa: S603
    still = missing_packages()
    if done.returncode or still:
        console.print("\n".join((done.stdout + done.stderr).splitlines()[-15:]), markup=False)
        raise PackagesMissing(f"apt-get could not install {' and '.join(still or missing)}; its last lines are above")


def _root_command() -> list[str] | None:
    """What to put in front of a command so that it runs as root without a question; None = we may not."""
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo and subprocess.run([sudo, "-n", "true"], capture_output=True, check=False).returncode == 0:  # noqa: S603
        return [sudo, "-n"]
    return None
