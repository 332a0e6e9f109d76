"""Steering: connections go to the listener of the CPU that handles them."""

import contextlib
import errno
import os
import select
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from netlab.kernel import machine, steering
from tests.bounded import BOUND_S, linux

pytestmark = linux
CPUS = machine.cpus_allowed()
two_cpus = pytest.mark.skipif(
    len({cpu % 2 for cpu in CPUS}) < 2,
    reason="it needs two CPUs, one of an even and one of an odd number",
)
preferred = pytest.mark.skipif(
    machine.kernel_version() < (6, 2),
    reason="listeners that share a port heed SO_INCOMING_CPU since Linux 6.2",
)


@contextlib.contextmanager
def group(count, order=None):
    """Listeners that share a port, bound in turn; `order` is that of listen()."""
    with contextlib.ExitStack() as opened:
        bound = [opened.enter_context(socket.socket()) for _ in range(count)]
        port = 0
        for one in bound:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            one.bind(("127.0.0.1", port))
            port = one.getsockname()[1]
        for number in order or range(count):
            bound[number].listen(64)
        yield bound


def connect_from(cpu, listeners, count=12):
    """Which listeners got connections from a CPU, and on which it handled them."""
    address = listeners[0].getsockname()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(os.sched_setaffinity, 0, {cpu}).result()
        jobs = [pool.submit(connect, address, listeners) for _ in range(count)]
        found = [job.result() for job in jobs]
    return {number for number, _ in found}, {handled for _, handled in found}


def connect(address, listeners):
    with socket.create_connection(address, BOUND_S):
        (ready, *_), _, _ = select.select(listeners, [], [], BOUND_S)
        accepted, _ = ready.accept()
        with accepted:
            return listeners.index(ready), steering.incoming_cpu(accepted)


@two_cpus
def test_program_chooses_by_the_client_s_cpu():
    with group(2) as listeners:
        steering.steer_by_cpu(listeners[1], 2)  # any of them, for all
        for cpu in CPUS:
            assert connect_from(cpu, listeners) == ({cpu % 2}, {cpu})


@two_cpus
def test_program_counts_in_the_order_of_listen():
    with group(2, order=(1, 0)) as listeners:
        steering.steer_by_cpu(listeners[0], 2)
        for cpu in CPUS:
            assert connect_from(cpu, listeners)[0] == {1 - cpu % 2}


def test_last_listener_takes_the_number_of_one_that_leaves():
    with group(3) as (first, *others):
        steering.steer_by_cpu(first, 1)  # whatever the CPU, number 0
        assert connect_from(CPUS[-1], [first, *others])[0] == {0}
        first.close()
        assert connect_from(CPUS[-1], others)[0] == {1}


def test_program_that_names_no_listener_leaves_it_to_the_hash():
    with group(2) as listeners:
        steering.attach(listeners[0], (0x06, 7))  # return the constant 7
        assert connect_from(CPUS[0], listeners, 64)[0] == {0, 1}


@two_cpus
@preferred
def test_listener_gets_the_connections_of_the_cpu_it_prefers():
    even, odd = (next(cpu for cpu in CPUS if cpu % 2 == n) for n in (0, 1))
    with group(2) as listeners:
        assert [steering.incoming_cpu(one) for one in listeners] == [-1, -1]
        steering.prefer_cpu(listeners[0], odd)
        steering.prefer_cpu(listeners[1], even)
        assert [steering.incoming_cpu(one) for one in listeners] == [odd, even]
        assert connect_from(odd, listeners)[0] == {0}
        assert connect_from(even, listeners)[0] == {1}


def test_listener_alone_on_its_port_cannot_be_steered():
    with (
        socket.create_server(("127.0.0.1", 0)) as alone,
        pytest.raises(OSError, match="SO_REUSEPORT") as refused,
    ):
        steering.steer_by_cpu(alone, 2)
    assert refused.value.errno == errno.EINVAL


class OldKernel(socket.socket):
    """A listener on a kernel that does not know the option."""

    def setsockopt(self, *_):
        raise OSError(errno.ENOPROTOOPT, os.strerror(errno.ENOPROTOOPT))


def test_old_kernel_is_named_as_the_reason():
    with OldKernel() as listener:
        with pytest.raises(OSError, match=r"Linux 4\.5"):
            steering.steer_by_cpu(listener, 2)
        with pytest.raises(OSError, match=r"CPU 3.*Linux 4\.4"):
            steering.prefer_cpu(listener, 3)


def test_numbers_that_cannot_be_are_refused():
    with group(1) as (listener,):
        with pytest.raises(ValueError, match="count=0"):
            steering.steer_by_cpu(listener, 0)
        with pytest.raises(ValueError, match="cpu=-1"):
            steering.prefer_cpu(listener, -1)
