"""Reads messages with Python's email package, which was written by others from the same RFCs.

Argument: a folder with messages. Prints one JSON object for each, by name.
"""

import email
import email.policy
import json
import pathlib
import sys

messages = {}
for path in pathlib.Path(sys.argv[1]).iterdir():
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    defects = [repr(defect) for part in message.walk() for defect in part.defects]
    for part in message.walk():
        defects += [f"{name}: {defect!r}" for name, value in part.items() for defect in value.defects]
    sender = message["from"].addresses[0]
    messages[path.name] = {
        "defects": defects,
        "names": message.keys(),
        "types": [part.get_content_type() for part in message.walk()],
        "subject": str(message["subject"]),
        "sender_name": sender.display_name,
        "sender": sender.addr_spec,
        "to": str(message["to"] or ""),
        "message_id": str(message["message-id"]),
        "date": message["date"].datetime.timestamp(),
        "auto_submitted": str(message["auto-submitted"]),
        "campaign": str(message["x-lastpop-notice"]),
        "text": message.get_body(["plain"]).get_content(),
        "html": message.get_body(["html"]).get_content(),
    }
json.dump(messages, sys.stdout)
