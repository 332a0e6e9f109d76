import contextlib
import errno
import sys
import threading

import pytest

from netlab.kernel import limits
from netlab.kernel.limits import (
    UNLIMITED,
    Throttling,
    cpu_quota,
    descriptor_limits,
    raised_descriptor_limit,
    throttling,
)

resource = pytest.importorskip("resource")
LOW = 512
V2 = "30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
V1 = (
    "31 1 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "32 1 0:28 / /sys/fs/cgroup/cpuset rw shared:9 - cgroup cgroup rw,cpuset\n"
)
HYBRID = V1 + "33 1 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"


@pytest.fixture
def low():
    """A soft limit low enough to be raised; the reader's own is put back."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 4 * LOW:
        pytest.skip("the hard limit leaves nothing to raise")
    resource.setrlimit(resource.RLIMIT_NOFILE, (LOW, hard))
    yield LOW
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def soft_limit():
    return descriptor_limits()[0]


def test_raised_for_the_block_and_put_back(low):
    with raised_descriptor_limit(2 * low) as held:
        assert held == soft_limit() == 2 * low
    assert soft_limit() == low


def test_put_back_after_an_exception(low):
    with contextlib.suppress(KeyError), raised_descriptor_limit(2 * low):
        raise KeyError
    assert soft_limit() == low


def test_never_lowered(low):
    with raised_descriptor_limit(low // 2) as held:
        assert held == soft_limit() == low
    assert soft_limit() == low


def test_nested_blocks_keep_the_highest_wish_to_the_end(low):
    with raised_descriptor_limit(2 * low):
        with raised_descriptor_limit(3 * low):
            assert soft_limit() == 3 * low
        assert soft_limit() >= 2 * low
    assert soft_limit() == low


def test_first_to_leave_takes_nothing_from_the_other(low):
    first, second = raised_descriptor_limit(3 * low), raised_descriptor_limit(2 * low)
    with first, contextlib.ExitStack() as overlapping:
        assert overlapping.enter_context(second) == 3 * low
        outlasting = overlapping.pop_all()
    assert soft_limit() == 3 * low
    outlasting.close()
    assert soft_limit() == low


def test_threads_that_overlap_never_lose_their_descriptors(low):
    short = []

    def use(wanted):
        for _ in range(50):
            with raised_descriptor_limit(wanted):
                if soft_limit() < wanted:
                    short.append(wanted)

    threads = [threading.Thread(target=use, args=(low + 64 * i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert short == []
    assert soft_limit() == low


def test_value_that_somebody_else_has_set_meanwhile_stays(low):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with raised_descriptor_limit(2 * low):
        resource.setrlimit(resource.RLIMIT_NOFILE, (3 * low, hard))
    assert soft_limit() == 3 * low


def test_refused_above_the_hard_limit_with_numbers_and_remedy(monkeypatch):
    monkeypatch.setattr(limits, "descriptor_limits", lambda: (100, 200))
    with (
        pytest.raises(OSError, match=r"wanted 201 .* have 200 .*ulimit") as refused,
        raised_descriptor_limit(201),
    ):
        pytest.fail("entered")
    assert refused.value.errno == errno.EMFILE
    assert limits._SOFT_LIMIT.users == 0


def test_at_most_takes_what_there_is(monkeypatch):
    monkeypatch.setattr(limits, "descriptor_limits", lambda: (200, 200))
    with raised_descriptor_limit(10**6, at_most=True) as held:
        assert held == 200


@pytest.mark.parametrize("wanted", [0, -1])
def test_nothing_is_no_wish(wanted):
    with pytest.raises(ValueError, match=str(wanted)), raised_descriptor_limit(wanted):
        pytest.fail("entered")


def test_system_without_the_limit_is_unlimited(monkeypatch):
    monkeypatch.setitem(sys.modules, "resource", None)
    assert descriptor_limits() == (UNLIMITED, UNLIMITED)
    with raised_descriptor_limit(10**6) as held:
        assert held == UNLIMITED


def tree(root, own, mounts, **files):
    """A fake / with the two files of this process and files below /sys/fs/cgroup."""
    texts = {"proc/self/cgroup": own, "proc/self/mountinfo": mounts}
    texts |= {f"sys/fs/cgroup/{name}": text for name, text in files.items()}
    for name, text in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_v2_quota(tmp_path):
    files = {"a/cpu.max": "150000 100000\n"}
    assert cpu_quota(tree(tmp_path, "0::/a\n", V2, **files)) == 1.5


@pytest.mark.parametrize(
    ("outer", "inner"), [("200000", "400000"), ("900000", "200000")]
)
def test_tightest_quota_on_the_way_up_wins(tmp_path, outer, inner):
    files = {
        "a/cpu.max": f"{outer} 100000",
        "a/b/cpu.max": "max 100000",
        "a/b/c/cpu.max": f"{inner} 100000",
        "a/b/c/d/cpu.max": "100 100000",  # a child's quota is none of ours
        "other/cpu.max": "100 100000",
    }
    assert cpu_quota(tree(tmp_path, "0::/a/b/c\n", V2, **files)) == 2.0


@pytest.mark.parametrize("junk", ["max 100000", "-1 100000", "", "max", "x y", "1 0"])
def test_junk_is_no_quota(tmp_path, junk):
    root = tree(tmp_path, "0::/a\n", V2, **{"a/cpu.max": junk})
    assert cpu_quota(root) is None


def v1(group, quota, period="100000"):
    folder = f"cpu,cpuacct/{group}"
    return {f"{folder}cpu.cfs_quota_us": quota, f"{folder}cpu.cfs_period_us": period}


def test_v1_quota_is_found_through_the_mount_table(tmp_path):
    own = "5:cpuset:/x\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/y\n"
    files = v1("docker/abc/", "50000\n", "25000\n") | v1("docker/", "-1\n")
    assert cpu_quota(tree(tmp_path, own, V1, **files)) == 2.0


@pytest.mark.parametrize(("old", "new"), [("300000", "100000"), ("100000", "300000")])
def test_hybrid_machine_has_both_trees_read(tmp_path, old, new):
    files = v1("", old) | {"unified/cpu.max": f"{new} 100000"}
    root = tree(tmp_path, "1:cpu,cpuacct:/\n0::/\n", HYBRID, **files)
    assert cpu_quota(root) == 1.0


@pytest.mark.parametrize(
    ("path", "top", "where"),
    [
        ("/docker/abc", "/docker/abc", ""),  # a container without a cgroup namespace
        ("/docker/abc/unit", "/docker/abc", "unit/"),
        ("/", "/..", ""),  # mounted before the namespace was made: our ancestor
        ("/../next", "/..", "next/"),
        ("/gone (deleted)", "/", ""),
    ],
)
def test_namespaces_shift_the_top_of_the_mount(tmp_path, path, top, where):
    mounts = V2.replace(" / /sys", f" {top} /sys")
    files = {f"{where}cpu.max": "100000 100000"}
    assert cpu_quota(tree(tmp_path, f"0::{path}\n", mounts, **files)) == 1.0


@pytest.mark.parametrize(("path", "top"), [("/../other", "/"), ("/a", "/docker/abc")])
def test_mount_of_somebody_else_says_nothing(tmp_path, path, top):
    mounts = V2.replace(" / /sys", f" {top} /sys")
    root = tree(tmp_path, f"0::{path}\n", mounts, **{"cpu.max": "100000 100000"})
    assert cpu_quota(root) is None


@pytest.mark.parametrize(
    ("own", "mounts"),
    [("", ""), ("junk\n\n::\n", "junk - \n - cgroup2\n"), ("0::/\n", ""), ("", V2)],
)
def test_files_that_are_missing_or_junk_mean_unknown(tmp_path, own, mounts):
    root = tree(tmp_path, own, mounts)
    assert cpu_quota(root) is None
    assert throttling(root) == Throttling(None, None, None)


def test_no_files_at_all(tmp_path):
    assert cpu_quota(tmp_path) is None
    assert throttling(tmp_path) == Throttling(None, None, None)


def test_throttling_adds_up_the_groups_on_the_way(tmp_path):
    stat = "usage_usec 9\nnr_periods 10\nnr_throttled {n}\nthrottled_usec {n}500\n"
    files = {
        f"{group}cpu.stat": stat.format(n=n) for group, n in [("a/", 1), ("a/b/", 2)]
    }
    files["cpu.stat"] = "usage_usec 99\n"  # the root group is never throttled
    root = tree(tmp_path, "0::/a/b\n", V2, **files)
    assert throttling(root) == Throttling(20, 3, 4.0)


def test_throttling_of_v1_is_in_nanoseconds(tmp_path):
    text = "nr_periods 7\nnr_throttled 2\nthrottled_time 3500000\n"
    files = {"cpu,cpuacct/cpu.stat": text}
    root = tree(tmp_path, "4:cpu,cpuacct:/\n", V1, **files)
    assert throttling(root) == Throttling(7, 2, 3.5)


def test_tree_that_is_mounted_twice_counts_once(tmp_path):
    files = {"cpu.stat": "nr_periods 7\nnr_throttled 2\nthrottled_usec 1000\n"}
    again = V2.replace("/sys/fs/cgroup", "/mnt")
    root = tree(tmp_path, "0::/\n", V2 + again, **files)
    (root / "mnt").symlink_to("sys/fs/cgroup")
    assert throttling(root) == Throttling(7, 2, 1.0)


def test_throttling_subtracts_and_keeps_the_unknown():
    later, earlier = Throttling(9, 4, 2.5), Throttling(5, 3, 1.0)
    assert later.since(earlier) == Throttling(4, 1, 1.5)
    assert later.since(Throttling(None, 3, None)) == Throttling(None, 1, None)
