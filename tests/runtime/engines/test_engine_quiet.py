"""Banners of one thread are dropped, and nobody else's words."""

import sys
import threading

from runtime.engines._quiet import quiet


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
