"""Ctrl-C ends a command once; what comes after it does not tear the clearing up apart, and nobody is trapped."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from shared.clock import wait

PROGRAM = """
import sys, time
from shared.cli.interruption import Interruption
Interruption(grace_seconds=float(sys.argv[1])).listen()
try:
    print("at work", flush=True)
    time.sleep(60)
finally:
    print("clearing", flush=True)
    time.sleep(float(sys.argv[2]))
    print("cleared", flush=True)
"""


@contextmanager
def working(grace_seconds: float, clearing_seconds: float) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(grace_seconds), str(clearing_seconds)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509 - no threads here
    )  # fmt: skip
    try:
        assert said(process) == "at work"
        yield process
    finally:
        process.kill()
        process.communicate()


def said(process: "subprocess.Popen[str]") -> str:
    assert process.stdout
    return process.stdout.readline().strip()


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_further_interrupts_wait_for_the_clearing_up(first: signal.Signals) -> None:
    with working(grace_seconds=30, clearing_seconds=0.5) as process:
        process.send_signal(first)
        assert said(process) == "clearing"
        for kind in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
            process.send_signal(kind)
            wait(0.05)
        assert said(process) == "cleared"
        _, printed = process.communicate(timeout=20)
    assert printed.count("Traceback") == 1, printed
    assert printed.count("clearing up; after 30 s another interrupt ends it on the spot") == 1


def test_clearing_up_that_hangs_can_be_ended() -> None:
    with working(grace_seconds=0.2, clearing_seconds=60) as process:
        process.send_signal(signal.SIGINT)
        assert said(process) == "clearing"
        wait(0.4)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == -signal.SIGINT


def test_a_command_in_the_background_of_a_shell_hears_no_ctrl_c() -> None:
    script = f"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n{PROGRAM}"
    with subprocess.Popen([sys.executable, "-c", script, "30", "0"], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert said(process) == "at work"
            process.send_signal(signal.SIGINT)
            wait(0.3)
            assert process.poll() is None
            process.send_signal(signal.SIGTERM)
            assert said(process) == "clearing"
        finally:
            process.kill()
