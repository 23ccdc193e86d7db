"""Fetches a mailbox with Python's poplib, as a script of a customer would.

Arguments: plain|starttls|implicit, port, file with the authority to trust, user, password,
keep|delete, file that remembers unique-ids, directory for the messages.
"""

import pathlib
import poplib
import ssl
import sys

transport, port, authority, user, password, mode, seen, out = sys.argv[1:]
tls = ssl.create_default_context(cafile=authority)
if transport == "implicit":
    pop3 = poplib.POP3_SSL("localhost", int(port), timeout=60, context=tls)
else:
    pop3 = poplib.POP3("localhost", int(port), timeout=60)
    if transport == "starttls":
        pop3.stls(tls)
pop3.user(user)
pop3.pass_(password)

memory = pathlib.Path(seen)
known = set(memory.read_text().split()) if memory.exists() else set()
for line in pop3.uidl()[1]:
    number, unique_id = line.decode("ascii").split(" ")
    if unique_id not in known:
        lines = pop3.retr(int(number))[1]
        octets = b"".join(line + b"\r\n" for line in lines)
        pathlib.Path(out, number).write_bytes(octets)
        known.add(unique_id)
    if mode == "delete":
        pop3.dele(int(number))
pop3.quit()
memory.write_text("\n".join(known))
