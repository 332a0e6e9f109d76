"""A sysctl is changed for a while, and put back whatever happens."""

import errno
import fcntl
import os
import signal
import threading

import pytest

from netlab.kernel import sysctl
from tests.bounded import children, left_behind, linux, lives, until

pytestmark = linux
NAME = "net.ipv4.answer"
REAL = "net.ipv4.tcp_reflect_tos"  # 0 or 1, of no consequence here
REAL_FILE = sysctl.FOLDER / REAL.replace(".", "/")
HOLD = """
    import sys
    from pathlib import Path
    from netlab.kernel import sysctl

    sysctl.FOLDER = Path(sys.argv[1])
    with sysctl.changed("net.ipv4.answer", 1):
        print("held", flush=True)
        input()
"""
END_WHILE_A_THREAD_HOLDS = """
    import sys, threading, time
    from pathlib import Path
    from netlab.kernel import sysctl

    sysctl.FOLDER = Path(sys.argv[1])
    holds = threading.Event()

    def hold():
        with sysctl.changed("net.ipv4.answer", 1):
            holds.set()
            time.sleep(60)

    threading.Thread(target=hold, daemon=True).start()
    holds.wait(20)
    print((sysctl.FOLDER / "net/ipv4/answer").read_text())
"""
FORK = """
    import os, sys
    from pathlib import Path
    from netlab.kernel import sysctl

    sysctl.FOLDER = Path(sys.argv[1])
    with sysctl.changed("net.ipv4.answer", 1):
        if os.fork() == 0:
            sys.exit()
        print(os.wait()[1], (sysctl.FOLDER / "net/ipv4/answer").read_text())
"""


@pytest.fixture
def answer(tmp_path, monkeypatch):
    """A file in the place of a sysctl: its value is 0."""
    file = tmp_path / "net/ipv4/answer"
    file.parent.mkdir(parents=True)
    file.write_text("0\n")
    monkeypatch.setattr(sysctl, "FOLDER", tmp_path)
    return file


@pytest.fixture
def holder(answer, start_fresh):
    """A process within a block, with its guard's number."""
    with start_fresh(HOLD, sysctl.FOLDER) as process:
        assert process.stdout.readline() == "held\n"
        (guard,) = children(process.pid)
        yield process, guard
        process.kill()
    until(lambda: not lives(guard))


def test_value_stands_within_the_block_and_nothing_after_it(answer):
    before = left_behind()
    for _ in range(3):
        with sysctl.changed(NAME, 1) as old:
            assert (old, answer.read_text()) == ("0", "1\n")
        assert answer.read_text() == "0\n"
    assert left_behind() == before


@pytest.mark.skipif(
    not os.access(REAL_FILE, os.W_OK), reason=f"{REAL} may not be written here"
)
def test_kernel_s_own_value_is_changed_and_put_back():
    before = REAL_FILE.read_text()
    other = 1 - int(before)
    with sysctl.changed(REAL, other) as old:
        assert (old, int(REAL_FILE.read_text())) == (before.strip(), other)
        with REAL_FILE.open("r+") as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # as another process would
    assert REAL_FILE.read_text() == before


def test_value_is_put_back_after_an_error(answer):
    with pytest.raises(ZeroDivisionError), sysctl.changed(NAME, 1):
        _ = 1 / 0
    assert answer.read_text() == "0\n"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_value_is_put_back_when_the_process_is_killed(answer, holder, number):
    process, guard = holder
    assert answer.read_text() == "1\n"
    process.send_signal(number)
    until(lambda: answer.read_text() == "0\n")
    until(lambda: not lives(guard))


def test_guard_outlives_the_signals_that_end_a_terminal_s_processes(answer, holder):
    process, guard = holder
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(guard, number)
    process.kill()
    until(lambda: answer.read_text() == "0\n")


def test_value_is_put_back_when_the_process_group_is_killed_at_one_blow(
    answer, start_fresh
):
    with start_fresh(HOLD, sysctl.FOLDER, process_group=0) as process:
        assert process.stdout.readline() == "held\n"
        os.killpg(process.pid, signal.SIGKILL)  # as Jupyter does to a kernel
    until(lambda: answer.read_text() == "0\n")


def test_value_is_put_back_when_the_guard_is_killed(answer):
    with sysctl.changed(NAME, 1):
        (guard,) = children()
        os.kill(guard, signal.SIGKILL)
    assert answer.read_text() == "0\n"


def test_value_is_put_back_when_the_interpreter_ends_within(answer, fresh):
    assert fresh(END_WHILE_A_THREAD_HOLDS, sysctl.FOLDER) == ["1"]
    assert answer.read_text() == "0\n"


def test_forked_child_that_ends_leaves_the_value_alone(answer, fresh):
    assert fresh(FORK, sysctl.FOLDER) == ["0", "1"]
    assert answer.read_text() == "0\n"


def test_last_user_of_the_process_puts_it_back(answer):
    with sysctl.changed(NAME, 1) as outer:
        with sysctl.changed(NAME, "1") as inner:
            assert (outer, inner) == ("0", "0")
        assert answer.read_text() == "1\n"
    assert answer.read_text() == "0\n"


def test_users_in_threads_are_counted(answer):
    met, parted = threading.Barrier(4), threading.Barrier(4)
    seen = []

    def use():
        with sysctl.changed(NAME, 1):
            met.wait(20)
            seen.append(answer.read_text())
            parted.wait(20)

    users = [threading.Thread(target=use) for _ in range(4)]
    for user in users:
        user.start()
    for user in users:
        user.join(20)
    assert seen == ["1\n"] * 4
    assert answer.read_text() == "0\n"


def test_second_value_is_refused_and_the_first_stays(answer):
    with sysctl.changed(NAME, 1):
        with (
            pytest.raises(ValueError, match="=2: this process holds it at 1"),
            sysctl.changed(NAME, 2),
        ):
            pass
        assert answer.read_text() == "1\n"
    assert answer.read_text() == "0\n"


def test_another_process_is_refused_meanwhile(answer, holder):
    with (
        pytest.raises(BlockingIOError, match=f"{NAME}: another process"),
        sysctl.changed(NAME, 1),
    ):
        pass
    process, _ = holder
    process.communicate("\n", timeout=20)
    with sysctl.changed(NAME, 1):
        assert answer.read_text() == "1\n"


def entered(name, value: "int | str" = 1):
    with sysctl.changed(name, value):
        pass


@pytest.mark.parametrize(
    "name", ["answer", "net/ipv4/answer", "net..answer", "", "../x"]
)
def test_name_that_is_none_is_refused(name):
    with pytest.raises(ValueError, match="is no sysctl"):
        entered(name)


def test_sysctl_that_is_not_there_is_named():
    with pytest.raises(FileNotFoundError, match=r"net\.ipv4\.no_such_thing"):
        entered("net.ipv4.no_such_thing")


def test_sysctl_that_may_not_be_written_names_the_remedy():
    with pytest.raises(PermissionError, match=r"kernel\.osrelease.*root"):
        entered("kernel.osrelease", "7.0")


def test_read_only_file_system_is_a_matter_of_permission(monkeypatch, answer):
    def refuse(*_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(sysctl.os, "open", refuse)
    with pytest.raises(PermissionError, match="writable /proc/sys"):
        entered(NAME)


@pytest.mark.skipif(
    not os.access(REAL_FILE, os.W_OK), reason=f"{REAL} may not be written here"
)
def test_value_that_the_kernel_refuses_is_named_and_leaves_nothing():
    before = left_behind(), REAL_FILE.read_text()
    with pytest.raises(ValueError, match="=many: refused by the kernel"):
        entered(REAL, "many")
    assert (left_behind(), REAL_FILE.read_text()) == before


def test_guard_that_does_not_start_is_quoted(monkeypatch, answer):
    monkeypatch.setattr(sysctl, "GUARD", "netlab.kernel.no_such_module")
    before = left_behind()
    with pytest.raises(RuntimeError, match="no_such_module"):
        entered(NAME)
    assert (left_behind(), answer.read_text()) == (before, "0\n")
