"""A MariaDB of the lab's own for slurmdbd: no TCP, one user, known by its Unix account."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

from .failure import LabError
from .processes import ProcessSpec

if TYPE_CHECKING:
    from pathlib import Path

NAME = "mariadbd"
USER = "slurm"  # slurmdbd's account is the only one that ever connects
_INSTALL_TIMEOUT_S = 120

# Small and quick rather than safe against power cuts: this data is thrown away.
_SMALL = (
    "--innodb-buffer-pool-size=32M",
    "--innodb-log-file-size=8M",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-doublewrite=0",
    "--innodb-lock-wait-timeout=900",
)
_FIRST_STATEMENTS = f"""\
CREATE DATABASE IF NOT EXISTS slurm_acct_db;
CREATE USER IF NOT EXISTS '{USER}'@'localhost' IDENTIFIED VIA unix_socket;
GRANT ALL ON slurm_acct_db.* TO '{USER}'@'localhost';
"""


def prepare(folder: Path, log: Path) -> None:
    """An empty data folder with MariaDB's own tables."""
    folder.mkdir(mode=0o755)
    shutil.chown(folder, USER, USER)
    (folder / "tmp").mkdir()
    shutil.chown(folder / "tmp", USER, USER)
    (folder / "init.sql").write_text(_FIRST_STATEMENTS)
    command = [
        "/usr/bin/mariadb-install-db",
        "--no-defaults",
        f"--user={USER}",
        f"--datadir={folder / 'data'}",
        f"--tmpdir={folder / 'tmp'}",
        "--skip-name-resolve",
        "--force",  # also where the host cannot resolve its own name
        "--skip-test-db",
        "--auth-root-authentication-method=socket",
        *_SMALL,
    ]
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_INSTALL_TIMEOUT_S,
        check=False,
    )
    log.write_text(done.stdout)
    if done.returncode:
        reasons = [line for line in done.stdout.splitlines() if "[ERROR]" in line]
        raise LabError(f"mariadb-install-db failed: {reasons[0] if reasons else done.stdout}")


def socket_of(folder: Path) -> Path:
    """libmariadb takes it from MYSQL_UNIX_PORT; slurmdbd.conf has no key for it."""
    return folder / "mariadb.socket"


def spec(folder: Path, log: Path) -> ProcessSpec:
    """mariadbd in the foreground."""
    return ProcessSpec(
        name=NAME,
        argv=(
            "/usr/sbin/mariadbd",
            "--no-defaults",
            f"--datadir={folder / 'data'}",
            f"--tmpdir={folder / 'tmp'}",
            f"--socket={socket_of(folder)}",
            f"--pid-file={folder / 'mariadb.pid'}",
            f"--init-file={folder / 'init.sql'}",
            "--skip-networking",
            "--skip-log-bin",
            *_SMALL,
        ),
        log=log,
        user=USER,
    )
