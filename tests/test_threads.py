"""One thread as the kernel sees it: its account, its name, its CPUs, its sleep."""

import os
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest

from netlab.kernel import threads
from netlab.kernel.threads import ThreadGone

LOOKS = (
    threads.usage_of,
    threads.cpu_of,
    threads.waited_ns,
    threads.process_of,
    threads.name_and_age,
)


class Sleeper:
    """A thread that does one thing per byte it is sent, and sleeps otherwise."""

    def __init__(self, work=lambda: None):
        self.read, self.write = os.pipe()
        self.results = []
        started = threading.Event()
        self.thread = threading.Thread(target=self.live, args=(work, started))
        self.thread.start()
        started.wait()

    def live(self, work, started):
        self.tid = threading.get_native_id()
        started.set()
        while os.read(self.read, 1):
            self.results.append(work())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.write)
        self.thread.join()
        os.close(self.read)


def spin_for(seconds):
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def in_a_thread(work):
    """Run `work` in a thread of its own and return what it returned or raised."""
    results = []

    def run():
        try:
            results.append(work())
        except Exception as error:
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return results[0]


def gone_tid():
    tid = in_a_thread(threading.get_native_id)
    while Path(f"/proc/self/task/{tid}").exists():
        time.sleep(0.001)  # it was joined, and is still ending
    return tid


# --- the account


def test_both_views_of_a_threads_account_are_one_counter():
    def look():
        for _ in range(1000):
            before = threads.own_usage()
            seen = threads.usage_of(threading.get_native_id())
            after = threads.own_usage()
            assert before.wakeups <= seen.wakeups <= after.wakeups
            assert before.preemptions <= seen.preemptions <= after.preemptions
            if before[:2] == after[:2]:
                return seen[:2] == before[:2]
        return None

    assert in_a_thread(look) is True


def test_what_is_seen_from_outside_is_what_a_sleeper_finds_when_it_wakes():
    # The byte comes from another process, while no thread of ours wants the GIL.
    pairs = []
    with Sleeper(threads.own_usage) as sleeper:
        for _ in range(10):
            assert threads.settle([sleeper.tid])
            outside = threads.usage_of(sleeper.tid)
            command = ["sh", "-c", "sleep 0.05; printf x >&0"]
            subprocess.run(command, stdin=sleeper.write, check=True)
            assert threads.settle([sleeper.tid])
            pairs.append((sleeper.results[-1].wakeups, outside.wakeups))
            if pairs[-1][0] == pairs[-1][1]:
                break
    assert all(inside >= outside for inside, outside in pairs)
    assert pairs[-1][0] == pairs[-1][1]


def test_every_wake_up_is_counted():
    with Sleeper() as sleeper:
        assert threads.settle([sleeper.tid])
        before = threads.usage_of(sleeper.tid)
        for _ in range(20):
            os.write(sleeper.write, b"x")
            assert threads.settle([sleeper.tid])
        after = threads.usage_of(sleeper.tid)
    assert after.wakeups - before.wakeups >= 20
    assert len(sleeper.results) == 20


def test_looking_wakes_nobody():
    with Sleeper() as sleeper:
        assert threads.settle([sleeper.tid])
        assert len({threads.usage_of(sleeper.tid) for _ in range(100)}) == 1


def test_both_views_agree_on_the_time_that_a_thread_ran():
    def look():
        spin_for(0.1)
        return threads.own_usage().cpu_ns, threads.usage_of(threading.get_native_id())

    own, seen = in_a_thread(look)
    assert 0.8 < own / seen.cpu_ns < 1.25
    assert own >= 0.08e9


def test_a_thread_that_ended_is_gone():
    tid = gone_tid()
    for look in LOOKS:
        with pytest.raises(ThreadGone, match=str(tid)):
            look(tid)


def test_a_process_out_of_descriptors_does_not_take_threads_for_gone(fresh):
    program = """
        import errno, os, resource, threading
        from netlab.kernel import threads
        tid = threading.get_native_id()
        before = threads.usage_of(tid)
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (os.dup(0) + 1, hard))
        try:
            threads.usage_of(tid)
        except OSError as error:
            print(errno.errorcode[error.errno])
    """
    assert fresh(program) == ["EMFILE"]


def test_where_a_thread_is():
    import psutil

    for cpu in sorted(os.sched_getaffinity(0)):
        with Sleeper(lambda cpu=cpu: threads.pin([cpu])) as sleeper:
            os.write(sleeper.write, b"x")
            assert threads.settle([sleeper.tid], 10)
            assert threads.cpu_of(sleeper.tid) == cpu
            assert psutil.Process(sleeper.tid).cpu_num() == cpu


def test_which_process_a_thread_belongs_to():
    with Sleeper() as sleeper, subprocess.Popen(["sleep", "60"]) as other:
        assert threads.process_of(sleeper.tid) == os.getpid()
        assert threads.process_of(other.pid) == other.pid
        other.kill()


# --- looks that keep the files open


def descriptors():
    return sorted(os.listdir("/proc/self/fd"))


def test_a_file_that_stays_open_tells_the_news():
    with Sleeper(lambda: spin_for(0.002)) as sleeper, threads.kept_open():
        for _ in range(5):
            assert threads.settle([sleeper.tid], 10)
            before = threads.usage_of(sleeper.tid)
            os.write(sleeper.write, b"x")
            assert threads.settle([sleeper.tid], 10)
            kept = threads.usage_of(sleeper.tid)
            assert kept == in_a_thread(lambda: threads.usage_of(sleeper.tid))
            assert kept.wakeups > before.wakeups
            assert kept.cpu_ns > before.cpu_ns


def test_what_is_kept_is_three_files_a_thread_and_closed_at_the_end():
    with Sleeper() as sleeper:
        before = descriptors()
        with threads.kept_open():
            for look in LOOKS * 2:
                look(sleeper.tid)
            assert len(descriptors()) == len(before) + 3
            assert in_a_thread(lambda: threads._files.kept) == {}
        assert descriptors() == before
        for look in LOOKS:
            look(sleeper.tid)
        assert descriptors() == before


def test_a_thread_that_ends_takes_its_files_along():
    with threads.kept_open():
        before = descriptors()
        with Sleeper() as sleeper:
            for look in LOOKS:
                look(sleeper.tid)
        threads.await_end([sleeper.tid])
        for look in LOOKS:
            with pytest.raises(ThreadGone, match=str(sleeper.tid)):
                look(sleeper.tid)
            assert descriptors() == before


def test_a_file_is_never_read_for_the_next_thread_of_the_same_number():
    with threads.kept_open(), Sleeper() as heir:
        with Sleeper() as ended:
            threads.usage_of(ended.tid)
        threads.await_end([ended.tid])
        kept = threads._files.kept
        for tid, name in list(kept):  # as if the heir had been given its number
            kept[heir.tid, name] = kept.pop((tid, name))
        with pytest.raises(ThreadGone):
            threads.usage_of(heir.tid)
        assert threads.usage_of(heir.tid) == in_a_thread(
            lambda: threads.usage_of(heir.tid)
        )


def test_no_more_is_kept_open_than_there_is_room_for(monkeypatch):
    monkeypatch.setattr(threads, "KEPT_LIMIT", 4)
    with Sleeper() as one, Sleeper() as another, threads.kept_open():
        before = len(descriptors())
        for tid in (one.tid, another.tid) * 2:
            threads.usage_of(tid)
            assert threads.cpu_of(tid) in os.sched_getaffinity(0)
        assert len(descriptors()) == before + 4


# --- the name


def test_a_name_shows_in_proc_and_in_ps():
    begun = time.monotonic()
    with Sleeper() as sleeper:
        threads.set_name("netlab-test-15c", sleeper.tid)
        comm = Path(f"/proc/{os.getpid()}/task/{sleeper.tid}/comm")
        assert comm.read_text() == "netlab-test-15c\n"
        name, age_s = threads.name_and_age(sleeper.tid)
        assert name == "netlab-test-15c"
        tick_s = 1 / os.sysconf("SC_CLK_TCK")  # the kernel rounds the start down to one
        assert -tick_s <= age_s <= time.monotonic() - begun + tick_s
        if shutil.which("ps") is None:
            pytest.skip("no ps here (procps)")
        command = ["ps", "-L", "-o", "tid=,comm=", "-p", str(os.getpid())]
        lines = subprocess.run(command, capture_output=True, text=True, check=True)
        assert [str(sleeper.tid), "netlab-test-15c"] in [
            line.split() for line in lines.stdout.splitlines()
        ]


@pytest.mark.parametrize("name", ["", "x" * 16, "\u00fc" * 8, "x" * 1000])
def test_a_name_the_kernel_would_cut_is_refused(name):
    with Sleeper() as sleeper:
        comm = Path(f"/proc/self/task/{sleeper.tid}/comm")
        before = comm.read_text()
        with pytest.raises(ValueError, match="1 to 15 bytes") as refused:
            threads.set_name(name, sleeper.tid)
        assert repr(name) in str(refused.value)
        assert comm.read_text() == before


# --- the CPUs


def test_a_thread_is_pinned_and_no_other():
    ours = os.sched_getaffinity(0)
    for cpu in sorted(ours):
        with Sleeper() as sleeper:
            threads.pin([cpu], sleeper.tid)
            assert os.sched_getaffinity(sleeper.tid) == {cpu}

        def pin_itself(cpu=cpu):
            threads.pin([cpu])
            return os.sched_getaffinity(0)

        assert in_a_thread(pin_itself) == {cpu}
    assert os.sched_getaffinity(0) == ours


@pytest.mark.parametrize("missing", [{9999}, {9998, 9999}, {-1}, {1 << 40}])
@pytest.mark.parametrize("with_good_ones", [False, True])
def test_cpus_that_do_not_exist_are_named(missing, with_good_ones):
    before = os.sched_getaffinity(0)
    with pytest.raises(ValueError, match="cannot pin to CPUs") as refused:
        threads.pin(missing | (before if with_good_ones else set()))
    said, allowed = str(refused.value).split(": this thread may use ")
    assert all(str(cpu) in said for cpu in missing)
    assert allowed == str(sorted(before))
    assert os.sched_getaffinity(0) == before


def test_no_cpu_at_all_is_refused():
    with pytest.raises(ValueError, match=r"cannot pin to CPUs \[\]"):
        threads.pin([])


# --- sleep


def test_sleeping_threads_settle_and_ended_ones_count_as_asleep():
    with Sleeper() as one, Sleeper() as another:
        assert threads.settle([one.tid, gone_tid(), another.tid])
    assert threads.settle([])


def test_a_busy_thread_never_settles():
    over = threading.Event()

    def burn():
        while not over.is_set():
            pass

    busy = threading.Thread(target=burn)
    with Sleeper() as sleeper:
        busy.start()
        try:
            assert not threads.settle([sleeper.tid, busy.native_id], timeout_s=0.3)
        finally:
            over.set()
            busy.join()
        assert threads.settle([sleeper.tid])


def test_a_thread_that_waits_for_a_cpu_is_not_asleep(monkeypatch):
    def runnable(tid):
        return "R", threads.Usage(5, 0, 1000)  # an account that stands still

    monkeypatch.setattr(threads, "_look", runnable)
    assert not threads.settle([1, 2], timeout_s=0.1)


def test_the_time_of_a_thread_is_known_without_schedstat_too(monkeypatch):
    with Sleeper(lambda: sum(range(3_000_000))) as sleeper:
        os.write(sleeper.write, b"x")
        assert threads.settle([sleeper.tid], 10)
        exact = threads.usage_of(sleeper.tid)
        whole = os.open

        def without(path, *args, **kwargs):
            if str(path).endswith("schedstat"):
                raise FileNotFoundError(path)
            return whole(path, *args, **kwargs)

        monkeypatch.setattr(os, "open", without)
        rough = threads.usage_of(sleeper.tid)
    assert rough.wakeups == exact.wakeups
    tick_ns = 1e9 / os.sysconf("SC_CLK_TCK")
    assert abs(rough.cpu_ns - exact.cpu_ns) <= 2 * tick_ns + exact.cpu_ns


@pytest.mark.parametrize("kind", ["voluntary", "involuntary"])
def test_psutil_counts_the_same_switches(kind):
    import psutil

    with Sleeper() as sleeper:
        for _ in range(5):
            os.write(sleeper.write, b"x")
            assert threads.settle([sleeper.tid], 10)
        name = {"voluntary": "wakeups", "involuntary": "preemptions"}[kind]
        theirs = getattr(psutil.Process(sleeper.tid).num_ctx_switches(), kind)
        assert getattr(threads.usage_of(sleeper.tid), name) == theirs


def test_after_await_end_ps_does_not_list_a_thread():
    for _ in range(50):
        thread = threading.Thread(target=time.sleep, args=(0.001,))
        thread.start()
        thread.join()
        threads.await_end([thread.native_id])
        with pytest.raises(ThreadGone):
            threads.usage_of(thread.native_id)


def test_await_end_of_a_thread_that_lives_on_ends_itself():
    with Sleeper() as sleeper:
        threads.await_end([sleeper.tid], timeout_s=0.05)
        assert threads.usage_of(sleeper.tid)
