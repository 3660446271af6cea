"""An SGE of one node on this machine, for tests: its own ports, nothing of it outside one folder.

Debian's packages start daemons and a mail server when they are installed, so .ci/run only unpacks them and links
/usr/lib/gridengine, where the programs look for their libraries.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster.processes import free_port, start, stop, wait_until

PROGRAMS = Path("/usr/lib/gridengine")

_BOOTSTRAP = """\
admin_user none
default_domain none
ignore_fqdn true
spooling_method classic
spooling_lib libspoolc
spooling_params {cell}/common;{cell}/spool
binary_path {programs}
qmaster_spool_dir {cell}/spool
security_mode none
listener_threads 2
worker_threads 2
scheduler_threads 1
jvm_threads 0
"""

_LIMITS = ("rt", "cpu", "fsize", "data", "stack", "core", "rss", "vmem")

#: A queue as `qconf -sq` writes it.
_QUEUE = {
    **dict.fromkeys(
        ("load_thresholds", "suspend_thresholds", "ckpt_list", "prolog", "epilog", "starter_method", "suspend_method",
         "resume_method", "terminate_method", "owner_list", "user_lists", "xuser_lists", "subordinate_list",
         "complex_values", "projects", "xprojects", "calendar"), "NONE"),
    **dict.fromkeys((f"{kind}_{what}" for kind in "sh" for what in _LIMITS), "INFINITY"),
    "qname": "main.q", "seq_no": "0", "nsuspend": "1", "suspend_interval": "00:05:00", "priority": "0",
    "min_cpu_interval": "00:05:00", "processors": "UNDEFINED", "qtype": "BATCH", "pe_list": "smp", "rerun": "FALSE",
    "slots": "4", "tmpdir": "/tmp", "shell": "/bin/sh", "shell_start_mode": "posix_compliant", "notify": "00:00:60",
    "initial_state": "default",
}  # fmt: skip


def missing_for_sge() -> str:
    """What keeps SGE from running here, or nothing."""
    if not (PROGRAMS / "sge_qmaster").is_file():
        return f"{PROGRAMS} is not there (Debian: gridengine-master, -exec, -client and -common, unpacked)"
    return "" if os.geteuid() == 0 else "sge_execd needs root"


@dataclass
class SGE:
    """One master, one node, one queue `main.q` of four slots.

    Attributes:
        folder: Holds its configuration, spool and logs.
    """

    folder: Path
    _ports: tuple[int, int] = field(default_factory=lambda: (free_port(), free_port()))
    _processes: list[subprocess.Popen] = field(default_factory=list, repr=False)

    @property
    def environment(self) -> dict[str, str]:
        """What qsub, qstat, qdel and qlaunch need to find it."""
        return {
            "SGE_ROOT": str(self.folder), "SGE_CELL": "default",
            "SGE_QMASTER_PORT": str(self._ports[0]), "SGE_EXECD_PORT": str(self._ports[1]),
            "LD_LIBRARY_PATH": str(PROGRAMS),
            "PATH": f"{PROGRAMS}:{os.environ['PATH']}",
        }  # fmt: skip

    def start(self) -> None:
        """Start the daemons; returns when the node takes jobs."""
        cell, shared = self.folder / "default", PROGRAMS.resolve().parents[1] / "share/gridengine"
        for name in ("common", "spool/job_scripts"):
            (cell / name).mkdir(parents=True)
        (self.folder / "util").symlink_to(shared / "util")
        host, common = os.uname().nodename, cell / "common"
        (common / "bootstrap").write_text(_BOOTSTRAP.format(cell=cell, programs=PROGRAMS))
        (common / "act_qmaster").write_text(f"{host}\n")
        (common / "host_aliases").write_text(f"{host} localhost\n")
        settings = {
            "execd_spool_dir": str(self.folder / "node"), "min_uid": "0", "min_gid": "0",
            "load_report_time": "00:00:01",
            "reporting_params": "accounting=true reporting=false flush_time=00:00:01 accounting_flush_time=00:00:00",
        }  # fmt: skip
        (self.folder / "node").mkdir()
        text = (shared / "default-configuration").read_text()
        for key, value in settings.items():
            text = re.sub(rf"^{key}\s.*$", f"{key} {value}", text, flags=re.MULTILINE)
        (self.folder / "configuration").write_text(text)
        self._ask("spoolinit", "classic", "libspoolc", f"{common};{cell}/spool", "init")
        resources = shared / "util/resources"
        self._ask("spooldefaults.bin", "configuration", str(self.folder / "configuration"))
        for what, source in (("complexes", "centry"), ("pes", "pe"), ("usersets", "usersets")):
            self._ask("spooldefaults.bin", what, str(resources / source))
        self._ask("spooldefaults.bin", "managers", "root")
        self._run("sge_qmaster")
        submits = lambda: self._try("qconf", "-as", host).returncode == 0  # noqa: E731
        wait_until(submits, f"the master answers; see {cell}/spool/messages")
        self._run("sge_execd")
        wait_until(lambda: host in self._try("qconf", "-sel").stdout, f"the node is known; see {self.folder}/node")
        schedule = re.sub(r"(schedule_interval +)\S+", r"\g<1>0:0:1", self._ask("qconf", "-ssconf"))
        self._change("-Msconf", "schedule", re.sub(r"(load_thresholds|job_load_adj\w+) +\S+", r"\g<1> NONE", schedule))
        lines = {**_QUEUE, "hostlist": host}
        self._change("-Aq", "queue", "".join(f"{key} {value}\n" for key, value in lines.items()))

    def stop(self) -> None:
        """End what is in the queue, and the daemons."""
        if self._processes:
            self._try("qdel", "-f", "-u", "*")
        while self._processes:
            stop(self._processes.pop())

    def cancel_all(self) -> None:
        """Empty the queue, and wait until nothing runs."""
        self._try("qdel", "-u", "*")
        wait_until(lambda: not self._ask("qstat", "-u", "*"), "the queue is empty")

    def submit(self, script: str, *options: str) -> str:
        """Submit a shell script with qsub; the number of its job."""
        command = ("qsub", "-terse", "-S", "/bin/sh", "-o", "/dev/null", "-e", "/dev/null", *options)
        run = self._try(*command, given=script)
        assert run.returncode == 0, run.stderr
        return run.stdout.strip()

    def state(self, job: str) -> str:
        """SGE's letters for the state of a job, such as qw and r; empty if it is over."""
        found = re.search(rf"^ *{job} +\S+ +\S+ +\S+ +(\w+)", self._ask("qstat", "-u", "*"), re.MULTILINE)
        return found.group(1) if found else ""

    def account(self, job: str) -> str:
        """What the accounting says of a job that is over; empty until it does."""
        run = self._try("qacct", "-j", job)
        return "" if run.returncode else run.stdout

    def _change(self, option: str, name: str, text: str) -> None:
        path = self.folder / name
        path.write_text(text)
        self._ask("qconf", option, str(path))

    def _run(self, program: str) -> None:
        environment = {**self.environment, "SGE_ND": "1"}
        self._processes.append(start([str(PROGRAMS / program)], self.folder / f"{program}.out", environment))

    def _ask(self, program: str, *arguments: str) -> str:
        run = self._try(program, *arguments)
        assert run.returncode == 0, f"{program} {' '.join(arguments)}: {run.stdout} {run.stderr}"
        return run.stdout

    def _try(self, program: str, *arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        command = shutil.which(program, path=str(PROGRAMS)) or program
        environment = {**os.environ, **self.environment}
        return subprocess.run(
            [command, *arguments], env=environment, input=given, capture_output=True, text=True, timeout=30
        )
