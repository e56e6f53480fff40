"""The worker pool with real processes: killed, hung, blocked, stopped."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time

import psutil
import pytest

from tests.running_pool import eventually, free_port, start

__all__ = ["free_port", "start"]  # fixtures


def test_a_killed_worker_is_replaced_within_a_second(start):
    pool = start().wait_ready()
    victim = int(pool.ask("pid"))
    asked = time.monotonic()
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: len(set(pool.workers()) - {victim}) == 2, "two workers again")
    assert time.monotonic() - asked < 1.0
    assert pool.ask("ready") == "True"
    assert f"worker {victim} was killed by signal 9" in pool.logged()


def test_a_worker_that_had_lived_is_replaced_within_a_tenth_of_a_second(start):
    pool = start(workers=3).wait_ready()
    time.sleep(5.2)  # who dies sooner after its start is taken for crashing
    took: list[float] = []
    for victim in (old := pool.workers()):
        asked = time.monotonic()
        os.kill(victim, signal.SIGKILL)
        eventually(lambda: len(set(pool.workers()) - set(old)) > len(took), "another one")
        took.append(time.monotonic() - asked)
    assert pool.logged().count("starting another at once") == 3
    assert min(took) < 0.1, took  # the best of three: the machine may be busy


def test_a_killed_worker_takes_only_what_it_had_accepted(start):
    pool = start(workers=3).wait_ready()
    eventually(lambda: [w["state"] for w in pool.page()["workers"]] == ["ready"] * 3, "all")
    connections = [socket.create_connection(("127.0.0.1", pool.port), 10) for _ in range(30)]
    for connection in connections:
        connection.sendall(b"sleep 1\n")
    eventually(lambda: sum(w["in_flight"] for w in pool.page()["workers"]) == 30, "all in flight")
    victim = pool.page()["workers"][1]
    os.kill(victim["pid"], signal.SIGKILL)
    answers = [_answer(connection) for connection in connections]
    assert victim["connections"] > 0
    assert answers.count("") == victim["connections"]
    assert str(victim["pid"]) not in answers


def _answer(connection: socket.socket) -> str:
    with connection, contextlib.suppress(ConnectionError):
        return connection.makefile().readline().strip()
    return ""


def test_new_code_and_sighup_end_a_crash_loop_at_once(start, tmp_path):
    code = tmp_path / "served.py"
    code.write_text(f"{SERVES}    asyncio.get_running_loop().call_later(0.1, os._exit, 3)\n{WAITS}")
    pool = start("served:serve", workers=2)
    eventually(lambda: pool.page()["respawn_in"] > 2, "the pauses grow", seconds=30)
    assert "crashing: next start in" in pool.command("status").stdout
    code.write_text(f"{SERVES}{WAITS}")
    asked = time.monotonic()
    pool.process.send_signal(signal.SIGHUP)
    eventually(lambda: len(pool.workers()) == 2, "two workers")
    assert time.monotonic() - asked < 1.5
    time.sleep(0.5)
    assert [w["state"] for w in pool.page()["workers"]] == ["ready"] * 2
    assert pool.page()["respawn_in"] == 0


def test_a_pool_without_workers_refuses_connections_until_one_has_started(start, tmp_path):
    code = tmp_path / "served.py"
    crash = "    asyncio.get_running_loop().call_later(0.1, os._exit, 3)\n"
    answers = "    await asyncio.start_server(lambda r, w: w.close(), sock=worker.socket)\n"
    code.write_text(f"{SERVES}{crash}{WAITS}")
    pool = start("served:serve", workers=1)
    eventually(lambda: "connections are refused" in pool.logged(), "alone", seconds=30)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", pool.port), 10)
    assert pool.process.poll() is None
    code.write_text(f"{SERVES}{answers}{WAITS}")
    pool.process.send_signal(signal.SIGHUP)
    eventually(lambda: [w["state"] for w in pool.page()["workers"]] == ["ready"], "mended")
    with socket.create_connection(("127.0.0.1", pool.port), 10) as connection:
        assert connection.recv(1) == b""


SERVES = "import asyncio, os\nasync def serve(worker):\n    worker.ready()\n"
WAITS = "    await worker.told_to_stop()\n"


def test_connections_queued_at_a_killed_worker_are_answered_by_its_successor(start):
    pool = start(workers=1).wait_ready()
    victim = pool.workers()[0]
    os.kill(victim, signal.SIGSTOP)
    queued = [socket.create_connection(("127.0.0.1", pool.port), 10) for _ in range(50)]
    for connection in queued:
        connection.sendall(b"pid\n")
    os.kill(victim, signal.SIGKILL)
    answers = [connection.makefile().readline().strip() for connection in queued]
    assert len([answer for answer in answers if answer.isdigit()]) == 50
    assert str(victim) not in answers
    for connection in queued:
        connection.close()


def test_a_stopped_worker_stalls_no_new_connection(start):
    pool = start().wait_ready()
    eventually(lambda: len(pool.workers()) == 2, "both workers")
    time.sleep(0.3)  # the second one must be accepting
    frozen = int(pool.ask("pid"))
    os.kill(frozen, signal.SIGSTOP)
    answers = {pool.ask("pid") for _ in range(40)}
    assert answers and str(frozen) not in answers


def test_a_worker_whose_loop_hangs_is_dumped_and_replaced(start):
    pool = start(workers=1, heartbeat_interval=0.1, heartbeat_timeout=1.0).wait_ready()
    hung = pool.workers()[0]
    with pytest.raises((ConnectionError, AssertionError)):
        assert pool.ask("block 30")
    eventually(lambda: pool.workers() not in ([], [hung]), "a new worker")
    assert pool.ask("ready") == "True"
    assert "is silent" in pool.logged()
    assert "pool_targets.py" in pool.logged()  # the stack that hung


def test_a_frozen_worker_that_cannot_take_the_abort_is_killed(start):
    pool = start(workers=1, heartbeat_interval=0.1, heartbeat_timeout=0.5, abort_grace=0.3)
    pool.wait_ready()
    frozen = pool.workers()[0]
    os.kill(frozen, signal.SIGSTOP)
    eventually(lambda: pool.workers() not in ([], [frozen]), "a new worker")
    assert pool.ask("ready") == "True"


def test_a_worker_that_never_gets_ready_is_given_up_with_one_reason(start):
    pool = start("never_ready", workers=1, boot_timeout=0.2, abort_grace=0.1)
    assert pool.process.wait(timeout=30) == 70
    assert "cannot boot: no worker was ready in 5 tries" in pool.logged()


def test_a_target_that_crashes_at_boot_ends_the_parent_with_exit_code_70(start):
    pool = start("crashes_at_boot", workers=1)
    assert pool.process.wait(timeout=30) == 70
    assert "the handler module is broken" in pool.logged()


def test_a_target_that_says_it_cannot_start_is_not_tried_again(start):
    pool = start("cannot_start", workers=1)
    assert pool.process.wait(timeout=30) == 78
    assert pool.logged().count("pool: the metrics folder is not writable") == 1
    assert "Traceback" not in pool.logged()


def test_a_target_that_does_not_exist_is_one_clear_line(start):
    pool = start("no_such_function", workers=1)
    assert pool.process.wait(timeout=30) == 78
    assert "cannot import tests.pool_targets:no_such_function" in pool.logged()
    assert "Traceback" not in pool.logged()


def test_sigterm_lets_requests_in_flight_finish_and_exits_0_without_orphans(start):
    pool = start().wait_ready()
    workers = pool.workers()
    answers: list[str] = []
    slow = threading.Thread(target=lambda: answers.append(pool.ask("sleep 1.5")))
    slow.start()
    time.sleep(0.2)
    pool.process.send_signal(signal.SIGTERM)
    slow.join()
    assert answers[0].isdigit()
    assert pool.process.wait(timeout=10) == 0
    assert not any(psutil.pid_exists(pid) for pid in workers)


def test_readiness_turns_false_before_the_workers_stop_accepting(start):
    pool = start(drain_delay=1.0).wait_ready()
    pool.process.send_signal(signal.SIGTERM)
    eventually(lambda: pool.ask("ready") == "False", "not ready, but still answering")
    assert pool.process.wait(timeout=10) == 0


def test_a_request_that_outlasts_the_drain_is_cut_and_the_pool_still_ends(start):
    pool = start(drain_seconds=0.3, linger_seconds=0.0).wait_ready()
    stuck = threading.Thread(target=lambda: contextlib.suppress(OSError) and pool.ask("sleep 60"))
    stuck.start()
    time.sleep(0.2)
    pool.process.send_signal(signal.SIGTERM)
    assert pool.process.wait(timeout=15) == 0
    stuck.join()


def test_workers_end_when_their_parent_is_killed(start):
    pool = start().wait_ready()
    workers = pool.workers()
    pool.process.kill()
    pool.process.wait()
    eventually(lambda: not any(psutil.pid_exists(pid) for pid in workers), "no orphan")


def test_the_address_can_be_had_again_right_after_the_parent_was_killed(start):
    pool = start().wait_ready()
    pool.process.kill()
    pool.process.wait()
    pool.log.write_text("")
    assert start().wait_ready().process.poll() is None


def test_a_frozen_worker_that_outlived_its_parent_does_not_keep_the_next_one_out(start):
    pool = start().wait_ready()
    frozen = pool.workers()[0]
    os.kill(frozen, signal.SIGSTOP)
    pool.process.kill()
    pool.process.wait()
    pool.log.write_text("")
    assert start().wait_ready().process.poll() is None
    eventually(lambda: not psutil.pid_exists(frozen), "the frozen one is ended")


def test_a_port_in_use_is_one_line_that_names_who_has_it_and_what_moves_it(start, free_port):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", free_port))
        holder.listen()
        pool = start(port_variable="APP1_PORT")
        assert pool.process.wait(timeout=30) == 1
    assert f"127.0.0.1:{free_port} is in use" in pool.logged()
    assert f"pid {os.getpid()}" in pool.logged()
    assert "APP1_PORT" in pool.logged()
    assert len(pool.logged().splitlines()) == 1


def test_an_address_that_is_not_this_machines_is_one_line(start):
    pool = start(host="203.0.113.1")  # documentation's own network
    assert pool.process.wait(timeout=30) == 1
    assert f"cannot listen on 203.0.113.1:{pool.port}: Cannot assign" in pool.logged()
    assert len(pool.logged().splitlines()) == 1


def test_a_target_whose_own_import_fails_ends_with_what_it_was(start, tmp_path):
    (tmp_path / "served.py").write_text("import no_such_library\n")
    pool = start("served:serve", workers=1)
    assert pool.process.wait(timeout=30) == 70
    assert "No module named 'no_such_library'" in pool.logged()
    assert "pool: cannot boot: no worker was ready in 5 tries; giving up" in pool.logged()


def test_a_second_instance_of_the_same_name_is_refused(start):
    pool = start().wait_ready()
    second = start()
    assert second.process.wait(timeout=30) == 1
    assert f"already runs (pid {pool.process.pid}" in pool.logged()
