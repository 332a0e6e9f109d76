"""Compiled functions: called, kept, announced, and the same uncompiled."""

import os
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from netlab.kernel import libc, native
from netlab.kernel.native import address, array_at, errno, for_python, now_ns, record_at
from tests.bounded import ENVIRONMENT, ROOT, linux

pytestmark = linux
PAIR = np.dtype([("a", "int64"), ("b", "int64")])


@native.jit
def swapped(begin):
    record = record_at(begin, PAIR)
    record["a"], record["b"] = record["b"], record["a"]
    numbers = array_at(begin, 2, np.int64)
    numbers[0] += 10
    return record["a"]


@native.jit
def close_and_tell(fd):
    return native.close(fd), errno()


@native.jit
def clock(room):
    return now_ns(room), address(room)


def test_records_and_arrays_at_an_address_are_no_copies():
    pairs = np.array([(1, 2), (3, 4)], PAIR)
    assert for_python(swapped)(pairs[1:].ctypes.data) == 14
    assert pairs.tolist() == [(1, 2), (14, 3)]


def test_a_c_function_that_fails_leaves_its_errno():
    with socket.socket() as probe:
        fd = os.dup(probe.fileno())
    assert for_python(close_and_tell)(fd)[0] == 0
    assert tuple(map(int, for_python(close_and_tell)(fd))) == (-1, 9)  # EBADF


def test_the_clock_is_that_of_python():
    room = np.zeros(2, np.int64)
    before = time.monotonic_ns()
    now, where = for_python(clock)(room)
    assert before <= now <= time.monotonic_ns()
    assert where == room.ctypes.data


def test_every_c_function_named_is_there():
    for name in libc.FUNCTIONS:
        assert callable(libc.function(name)), name


def test_uncompiled_they_do_the_same():
    options = ["-q", "-p", "no:cacheprovider", "-k", "not uncompiled and not told"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, __file__],
        env=ENVIRONMENT | {"NUMBA_DISABLE_JIT": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout


def test_a_function_that_cannot_be_kept_is_compiled_all_the_same():
    names = {"native": native}
    exec("@native.cached\ndef double(number): return 2 * number", names)
    assert names["double"](21) == 42


def test_a_change_in_any_file_it_is_made_of_is_another_key(tmp_path):
    module = type(sys)("changed")
    module.__file__ = str(tmp_path / "changed.py")
    (tmp_path / "changed.py").write_text("a = 1\n")
    one = native.digest(module)
    assert native.digest(module) == one
    (tmp_path / "changed.py").write_text("a = 2\n")
    assert native.digest(module) != one


def work(cpu_s):
    ends = time.thread_time() + cpu_s
    while time.thread_time() < ends:
        pass


def test_who_only_waits_for_a_busy_machine_is_told_nothing(monkeypatch, capsys):
    monkeypatch.setattr(native, "PATIENCE_S", 0.1)
    assert native.settle_in(lambda bundle: time.sleep(0.5) or bundle, 7, "loop") == 7
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("patience_s", [0.01, 60])
def test_who_waits_for_a_compilation_is_told_once(monkeypatch, capsys, patience_s):
    monkeypatch.setattr(native, "PATIENCE_S", patience_s)
    done = native.settle_in(lambda bundle: work(0.5) or bundle, 7, "the loop")
    said = capsys.readouterr().err
    assert done == 7
    assert said.count("netlab: compiling the loop; once") == (patience_s < 1)


def test_a_reader_reads_from_the_beginning_each_time(tmp_path):
    read = libc.reader(8)
    with open(tmp_path / "text", "w+b", buffering=0) as file:
        file.write(b"0123456789")
        assert read(file.fileno()) == read(file.fileno()) == b"01234567"
    with pytest.raises(OSError, match="Bad file"):
        read(file.fileno() if not file.closed else 999_999)
