#!/usr/bin/env python3
"""Opens POP3 sessions that are logged in and say nothing, and prints how many KiB each costs the server: the
memory (PSS) of all processes of its session, minus what it was after the first session.

Usage: idle.py PORT plain|tls SESSIONS PROCESS-SESSION USER-PREFIX USERS PASSWORD
"""

import os
import socket
import ssl
import sys
import time
from concurrent.futures import ThreadPoolExecutor


def memory(session):
    """KiB of all processes of a process session."""
    total = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as stat:
                if int(stat.read().rpartition(")")[2].split()[3]) != session:
                    continue
            with open(f"/proc/{pid}/smaps_rollup") as rollup:
                total += sum(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just ended
    return total


def answer(connection):
    """Reads one line, which must be +OK. Nothing comes after it before the next command."""
    line = b""
    while not line.endswith(b"\r\n"):
        part = connection.recv(4096)
        if not part:
            raise ConnectionError(f"the server closed the connection after {line!r}")
        line += part
    if not line.startswith(b"+OK"):
        raise ConnectionError(f"the server said {line!r}")


def login(port, context, user, password):
    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
    if context:
        connection = context.wrap_socket(connection)
    answer(connection)
    for command in f"USER {user}", f"PASS {password}", "STAT":
        connection.sendall(command.encode() + b"\r\n")
        answer(connection)
    return connection


def main():
    port, security, sessions, session, prefix, users, password = sys.argv[1:]
    context = None
    if security == "tls":
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    name = lambda number: f"{prefix}{number % int(users) + 1}"
    # What is made once, at the first sessions, is no session's own.
    with ThreadPoolExecutor(8) as clients:
        one = lambda number: login(int(port), context, name(number), password)
        kept = list(clients.map(one, range(8)))
        time.sleep(0.5)
        before = memory(int(session))
        kept += clients.map(one, range(int(sessions)))
    time.sleep(0.5)
    print(f"kib={(memory(int(session)) - before) / int(sessions):.2f}")


main()
