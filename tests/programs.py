"""Programs that tests use and the stack does not: a browser, and clients that nobody here wrote.

`python -m tests.programs` installs what is missing where apt-get may be used, and names it
elsewhere; a test that needs it then fails, or is skipped, with the package's name. Edge.
"""

from __future__ import annotations

import os
import shutil

from monitoring.installation.packages import PackageError, apt_install, can_use_apt
from monitoring.terminal import console, doing

PACKAGES = {  # Debian's, by what has to be found on PATH
    "chromium": "chromium",
    "curl": "curl",
    "node": "nodejs",
    "wrk": "wrk",
    "ab": "apache2-utils",
}


def main() -> None:
    """Install what is missing; one line for what cannot be had."""
    packages = [package for name, package in PACKAGES.items() if shutil.which(name) is None]
    if not packages:
        return
    out = console()
    command = f"apt-get install {' '.join(packages)}"
    reason = "for which one must be root on a system of Debian's family"
    if can_use_apt(os.environ):
        try:
            with doing(out, command):
                apt_install(packages)
            return
        except (PackageError, OSError) as error:
            reason = str(error)
    out.print(f"note: some tests need {command} ({reason})", markup=False)


if __name__ == "__main__":
    main()
