import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import netlab
from netlab.kernel import machine as module
from netlab.kernel.machine import Machine, machine

MOUNT = "30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
GVISOR_OLD = "Linux version 4.4.0 #1 SMP Sun Jan 10 15:06:54 PST 2016\n"
HEAVY = ("pandas", "numpy", "matplotlib", "psutil", "numba")


def tree(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def quota_of(root, text):
    files = {"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": MOUNT}
    return tree(root, files | {"sys/fs/cgroup/cpu.max": text})


def test_stamp_of_this_machine_is_json_and_survives_it():
    stamp = machine().as_dict()
    assert json.loads(json.dumps(stamp)) == stamp
    named = {field.name for field in dataclasses.fields(Machine)}
    assert stamp.keys() == named | {"line"}


def test_stamp_says_when_to_the_second_in_utc():
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", machine().date)


def test_stamp_tells_the_version_that_is_imported():
    assert machine().netlab == netlab.__version__


def test_stamp_keeps_no_path_and_no_home():
    text = json.dumps(machine().as_dict())
    for private in (str(Path.home()), os.getcwd(), sys.prefix):
        assert len(private) < 4 or private not in text


def test_stamp_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        machine().kernel = "another"  # pyright: ignore[reportAttributeAccessIssue]


def test_owned_is_never_more_than_allowed_nor_allowed_more_than_visible():
    stamp = machine()
    assert 1 <= stamp.cpus_owned <= len(stamp.cpus_allowed) <= stamp.cpus_visible


@pytest.mark.parametrize(
    ("quota", "owned"),
    [
        ("max 100000", 8),
        ("50000 100000", 1),
        ("150000 100000", 2),
        ("9900000 100000", 8),
    ],
)
def test_owned_is_the_quota_rounded_up_within_the_affinity(
    tmp_path, monkeypatch, quota, owned
):
    monkeypatch.setattr(module, "cpus_allowed", lambda: tuple(range(8)))
    assert module.cpus_owned(quota_of(tmp_path, quota)) == owned


def test_all_cpus_are_allowed_where_there_is_no_affinity(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert module.cpus_allowed() == (0, 1, 2)


@pytest.mark.skipif(sys.platform != "linux", reason="affinity is Linux's")
def test_allowed_is_the_affinity():
    assert set(module.cpus_allowed()) == os.sched_getaffinity(0)


def line_of(**changes):
    fixed = {
        "system": "Linux",
        "kernel": "6.18.44-generic",
        "cpus_owned": 2,
        "cpus_visible": 16,
        "cpu_quota": None,
        "python": "3.14.1",
        "implementation": "CPython",
        "gil": True,
        "hints": ("docker",),
    }
    return dataclasses.replace(machine(), **(fixed | changes)).line()


def test_line():
    assert line_of() == "Linux 6.18 · 2 of 16 CPUs · Python 3.14.1, GIL on"


def test_line_says_what_spoils_a_comparison():
    line = line_of(cpu_quota=1.5, hints=("gVisor",), gil=False)
    assert "Linux 6.18 (gVisor) · " in line
    assert " · quota 1.5 · " in line
    assert line.endswith("GIL off")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, ()),
        ({"proc/version": "Linux version 6.8.0 (gcc)"}, ()),
        ({"proc/version": GVISOR_OLD}, ("gVisor",)),
        ({"proc/version": "Linux version 4.19.0-gvisor #1"}, ("gVisor",)),
        ({"proc/version": "Linux version 5.15.1-microsoft-standard-WSL2"}, ("WSL2",)),
        ({"proc/version": "Linux version 4.19.104-microsoft-standard"}, ("WSL2",)),
        ({"proc/version": "Linux version 4.4.0-19041-Microsoft"}, ("WSL1",)),
        ({".dockerenv": ""}, ("docker",)),
        ({"run/.containerenv": ""}, ("podman",)),
        ({"proc/cpuinfo": "flags\t\t: fpu hypervisor avx\n"}, ("virtual machine",)),
        ({"proc/cpuinfo": "flags\t\t: fpu avx\n"}, ()),
    ],
)
def test_hints(tmp_path, files, expected):
    assert module.hints(tree(tmp_path, files)) == expected


def test_everything_unknown_is_said_so(tmp_path):
    stamp = machine(tmp_path)
    assert stamp.cpu_quota is stamp.memory_mib is None
    assert set(stamp.sysctls.values()) == {None}
    assert stamp.capabilities == frozenset()
    assert stamp.kernel
    assert stamp.cpu_model


def test_values_are_read_from_the_tree(tmp_path):
    files = {
        "proc/sys/kernel/osrelease": "5.10.7-strange\n",
        "proc/sys/net/ipv4/ip_local_port_range": "1024\t65000\n",
        "proc/cpuinfo": "model\t\t: 106\nmodel name\t: A fine CPU @ 3GHz\n",
        "proc/meminfo": "MemTotal:        2048000 kB\nMemFree: 1 kB\n",
        "proc/self/status": "CapPrm:\t0\nCapEff:\t0000000000001400\n",
    }
    stamp = machine(tree(tmp_path, files))
    assert stamp.kernel == "5.10.7-strange"
    assert stamp.sysctls["net.ipv4.ip_local_port_range"] == "1024 65000"
    assert stamp.cpu_model == "A fine CPU @ 3GHz"
    assert stamp.memory_mib == 2000
    assert stamp.capabilities == {"CAP_NET_ADMIN", "CAP_NET_BIND_SERVICE"}


@pytest.mark.parametrize(
    ("release", "version"), [("6.18.44-x", (6, 18)), ("5.4", (5, 4)), ("odd", (0, 0))]
)
def test_kernel_version(tmp_path, release, version):
    files = {"proc/sys/kernel/osrelease": release}
    assert module.kernel_version(tree(tmp_path, files)) == version


def test_gil_is_on_unless_the_interpreter_denies_it(monkeypatch):
    monkeypatch.delattr(sys, "_is_gil_enabled", raising=False)
    assert module.gil_on() is True
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    assert module.gil_on() is False


def test_import_is_light():
    code = f"import sys, netlab.kernel.machine; print({{*sys.modules}} & {{*{HEAVY}}})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
