"""Banners of libraries are dropped: those of one thread, or those of the whole process."""

import logging
import os
import sys
import threading
import warnings

from runtime.console import quiet


def test_only_the_own_thread_is_muted(capsys):
    def other():
        print("result")
        print("more", file=sys.stdout)

    with quiet():
        print("banner")
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        sys.stdout.flush()
    print("after")
    assert capsys.readouterr().out == "result\nmore\nafter\n"


def test_two_threads_leave_stdout_as_it_was(capsys):
    real = sys.stdout

    def work():
        for _ in range(50):
            with quiet():
                print("banner")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sys.stdout is real
    assert capsys.readouterr().out == ""


def test_models_are_opened_by_two_threads_at_once(capsys):
    """Each waits within `quiet` for the other to be there as well."""
    meeting = threading.Barrier(2, timeout=10)

    def work():
        with quiet(), quiet():
            meeting.wait()
            print("banner")

    thread = threading.Thread(target=work)
    thread.start()
    work()
    thread.join()
    assert not meeting.broken
    assert capsys.readouterr().out == ""


def test_the_whole_process_is_muted_and_speaks_again(capfd, caplog):
    filters, disabled = list(warnings.filters), logging.root.manager.disable
    with quiet(process=True):
        os.write(1, b"a C library\n")
        os.write(2, b"its warning\n")
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        logging.getLogger("library").error("note")
    os.write(1, b"result\n")
    assert capfd.readouterr() == ("result\n", "")
    assert not caplog.records
    assert (warnings.filters, logging.root.manager.disable) == (filters, disabled)
