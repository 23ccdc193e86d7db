#!/usr/bin/env python3
"""Reads messages one after the other over POP3 or IMAP as fast as a client can: it looks for the end of each
reply and at nothing else. Prints the octets that came and the nanoseconds that it took.

Usage: read.py pop3|imap PORT USER PASSWORD FIRST LAST
"""

import socket
import sys
import time


class Lines:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray(1 << 20)
        self.view = memoryview(self.buffer)
        self.octets = 0

    def ask(self, command, is_end):
        """Sends a command and reads until the last octets are the end of its reply."""
        if command:
            self.socket.sendall(command + b"\r\n")
        tail = b""
        while not is_end(tail):
            count = self.socket.recv_into(self.buffer)
            if count == 0:
                sys.exit("the server closed the connection")
            self.octets += count
            tail = tail[-2048:] + bytes(self.view[max(0, count - 2048):count])


def main():
    protocol, port, user, password, first, last = sys.argv[1:]
    messages = range(int(first), int(last) + 1)
    lines = Lines(int(port))
    if protocol == "pop3":
        line = lambda tail: tail.endswith(b"\r\n")
        body = lambda tail: tail.endswith(b"\r\n.\r\n")
        lines.ask(b"", line)
        lines.ask(b"USER " + user.encode(), line)
        lines.ask(b"PASS " + password.encode(), line)
        ask = lambda number: lines.ask(b"RETR %d" % number, body)
    else:
        done = lambda tag: lambda tail: tail.endswith(b"\r\n") and tail[:-2].rsplit(b"\n", 1)[-1].startswith(tag)
        lines.ask(b"", lambda tail: tail.endswith(b"\r\n"))
        lines.ask(b"a LOGIN %s %s" % (user.encode(), password.encode()), done(b"a OK"))
        lines.ask(b"b SELECT INBOX", done(b"b OK"))
        ask = lambda number: lines.ask(b"c UID FETCH %d BODY.PEEK[]" % number, done(b"c OK"))
    lines.octets = 0
    begun = time.perf_counter_ns()
    for number in messages:
        ask(number)
    print(lines.octets, time.perf_counter_ns() - begun)


main()
