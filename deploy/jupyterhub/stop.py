"""Stop the proxy and every server that the hub started, by the process ids in its database."""

import json
import os
import signal
import sqlite3
from contextlib import suppress
from pathlib import Path

STATE = Path(__file__).resolve().parents[1] / "state"
db = sqlite3.connect(STATE / "jupyterhub.sqlite")
pids = [
    json.loads(state).get("pid")
    for (state,) in db.execute("SELECT state FROM spawners WHERE server_id IS NOT NULL")
    if state
]
with suppress(FileNotFoundError):
    pids.append(int((STATE / "proxy.pid").read_text()))
    (STATE / "proxy.pid").unlink()
for pid in filter(None, pids):
    with suppress(ProcessLookupError, FileNotFoundError):
        if str(STATE.parent).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():  # still ours
            os.kill(pid, signal.SIGTERM)
