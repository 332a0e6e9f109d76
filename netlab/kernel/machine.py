"""What this machine is: the CPUs that a run owns, and the stamp under a figure.

Facts: three numbers are called "the CPUs". `os.cpu_count()` says how many the machine
shows, the affinity mask on which of them a thread may run, and the cgroup's quota how
much CPU time the process gets per period, whatever the number of CPUs. A container on a
host with 16 CPUs and a quota of 2 sees 16 by the first two and owns 2.

Consequence: a run with one worker per visible CPU measures the quota, not the kernel.
And a number without its machine is no result: kernel, CPUs, interpreter, GIL and a few
sysctls decide what a reader will see.

Decision: `cpus_owned` is what a run plans with, `machine` is the stamp that is saved
with it. The stamp holds what decides a result and nothing that names its reader: no
host name, no user, no path. Whatever cannot be read is None, empty or "unknown".

Cost: a thread that is pinned sees only its own affinity: take the stamp before, or on
another thread. The hints are signs, not proofs: a sandbox may hide all of them.
Not in this file: anything that changes the machine.
"""

from __future__ import annotations

import math
import os
import platform
import re
import sys
import sysconfig
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from netlab import __version__
from netlab.kernel.limits import ROOT, cpu_quota, descriptor_limits, read_text

GVISOR_BUILD = "Sun Jan 10 15:06:54 PST 2016"  # reported by gVisor under any release
CAPABILITIES = {  # name: bit, from the kernel's include/uapi/linux/capability.h
    "CAP_NET_BIND_SERVICE": 10,
    "CAP_NET_ADMIN": 12,
    "CAP_SYS_ADMIN": 21,
    "CAP_SYS_RESOURCE": 24,
    "CAP_PERFMON": 38,
    "CAP_BPF": 39,
}
SYSCTLS = (
    "net.core.somaxconn",
    "net.ipv4.tcp_max_syn_backlog",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_tw_reuse",
    "net.ipv4.tcp_migrate_req",
    "kernel.io_uring_disabled",
)


@dataclass(frozen=True)
class Machine:
    """The stamp: what was measured on. `line()` goes under figures."""

    system: str
    kernel: str
    architecture: str
    cpu_model: str
    cpus_visible: int
    cpus_allowed: tuple[int, ...]
    cpus_owned: int
    cpu_quota: float | None
    memory_mib: int | None
    python: str
    implementation: str
    free_threaded: bool
    gil: bool
    netlab: str
    hints: tuple[str, ...]
    sysctls: dict[str, str | None]
    descriptors_soft: int
    descriptors_hard: int
    capabilities: frozenset[str]
    date: str

    def as_dict(self) -> dict[str, Any]:
        """The stamp in JSON's types only: dict, list, str, int, float, bool, None."""
        values = asdict(self)
        values["cpus_allowed"] = list(self.cpus_allowed)
        values["hints"] = list(self.hints)
        values["capabilities"] = sorted(self.capabilities)
        values["line"] = self.line()
        return values

    def line(self) -> str:
        """One short line, as in `Linux 6.18 · 2 of 2 CPUs · Python 3.11.7, GIL on`."""
        release = re.match(r"\d+(\.\d+)?", self.kernel)
        kernel = f"{self.system} {release[0] if release else self.kernel}"
        named = [hint for hint in self.hints if hint in ("gVisor", "WSL1", "WSL2")]
        system = f"{kernel} ({', '.join(named)})" if named else kernel
        cpus = f"{self.cpus_owned} of {self.cpus_visible} CPUs"
        quota = [] if self.cpu_quota is None else [f"quota {self.cpu_quota:g}"]
        name = "Python" if self.implementation == "CPython" else self.implementation
        python = f"{name} {self.python}, GIL {'on' if self.gil else 'off'}"
        return " · ".join([system, cpus, *quota, python])


def machine(root: Path = ROOT) -> Machine:
    """The stamp of this machine, now."""
    soft, hard = descriptor_limits()
    return Machine(
        system=platform.system(),
        kernel=kernel_release(root),
        architecture=platform.machine(),
        cpu_model=_cpu_model(root),
        cpus_visible=cpus_visible(),
        cpus_allowed=cpus_allowed(),
        cpus_owned=cpus_owned(root),
        cpu_quota=cpu_quota(root),
        memory_mib=_memory_mib(root),
        python=platform.python_version(),
        implementation=platform.python_implementation(),
        free_threaded=free_threaded_build(),
        gil=gil_on(),
        netlab=__version__,
        hints=hints(root),
        sysctls={name: sysctl(name, root) for name in SYSCTLS},
        descriptors_soft=soft,
        descriptors_hard=hard,
        capabilities=capabilities(root),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def require_linux() -> None:
    """Raise OSError unless this is Linux, where the server can run."""
    if sys.platform != "linux":
        raise OSError(
            f"netlab's server needs Linux and this is {sys.platform}: use a Linux "
            "machine, WSL2 or a container"
        )


def cpus_visible() -> int:
    """How many CPUs the machine shows."""
    return os.cpu_count() or 1


def cpus_allowed() -> tuple[int, ...]:
    """The CPUs on which the calling thread may run (all where there is no affinity)."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(cpus_visible()))


def cpus_owned(root: Path = ROOT) -> int:
    """How many CPUs a run can keep busy: the allowed ones, within the quota."""
    quota = cpu_quota(root)
    allowed = len(cpus_allowed())
    return max(1, allowed if quota is None else min(allowed, math.ceil(quota)))


def kernel_release(root: Path = ROOT) -> str:
    """The kernel's release, as `uname -r` prints it."""
    return read_text(root / "proc/sys/kernel/osrelease").strip() or platform.release()


def kernel_version(root: Path = ROOT) -> tuple[int, int]:
    """Major and minor number of the release; (0, 0) if it has none."""
    found = re.match(r"(\d+)\.(\d+)", kernel_release(root))
    return (int(found[1]), int(found[2])) if found else (0, 0)


def hints(root: Path = ROOT) -> tuple[str, ...]:
    """What stands between this process and the bare machine, as far as it shows."""
    version = read_text(root / "proc/version")
    flags = _found(r"^flags\s*:(.*)$", root / "proc/cpuinfo") or ""
    wsl2 = "WSL2" in version or "microsoft-standard" in version
    found = {
        "gVisor": "gvisor" in version.lower() or GVISOR_BUILD in version,
        "WSL2": wsl2,
        "WSL1": "Microsoft" in version and not wsl2,
        "docker": os.path.exists(root / ".dockerenv"),
        "podman": os.path.exists(root / "run/.containerenv"),
        "kubernetes": os.path.exists(root / "var/run/secrets/kubernetes.io"),
        "virtual machine": "hypervisor" in flags.split(),
    }
    return tuple(name for name, here in found.items() if here)


def sysctl(name: str, root: Path = ROOT) -> str | None:
    """The value of a sysctl, blanks made single; None if this kernel has none such."""
    text = read_text(root / "proc/sys" / name.replace(".", "/"))
    return " ".join(text.split()) or None


def capabilities(root: Path = ROOT) -> frozenset[str]:
    """Which of `CAPABILITIES` are in effect for this process."""
    mask = _found(r"^CapEff:\s*([0-9a-fA-F]+)$", root / "proc/self/status")
    bits = int(mask or "0", 16)
    return frozenset(name for name, bit in CAPABILITIES.items() if bits >> bit & 1)


def free_threaded_build() -> bool:
    """Whether this interpreter was built to run without a GIL."""
    return bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


def gil_on() -> bool:
    """Whether the GIL is on now; an extension can switch it on in any build."""
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())


def _cpu_model(root: Path) -> str:
    pattern = r"^(?:model name|Model|cpu)\s*:\s*(\S.*)$"  # x86, Arm boards, Power
    return _found(pattern, root / "proc/cpuinfo") or platform.processor() or "unknown"


def _memory_mib(root: Path) -> int | None:
    kib = _found(r"^MemTotal:\s*(\d+) kB$", root / "proc/meminfo")
    return int(kib) // 1024 if kib else None


def _found(pattern: str, path: Path) -> str | None:
    """The first group of the pattern's first match on any line of a file."""
    match = re.search(pattern, read_text(path), re.M)
    return match[1].strip() if match else None
