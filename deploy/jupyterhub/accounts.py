"""Create accounts, or give them a new password: ``spikes-accounts [--teacher] NAME ...``.

Prints each name with its password, once: only a hash is stored. Works while the hub runs.
"""

import argparse
import os
import re
import secrets
from pathlib import Path

import bcrypt
from jupyterhub import orm
from nativeauthenticator.orm import UserInfo

STATE = Path(__file__).resolve().parents[1] / "state"
LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # no two that look alike

parser = argparse.ArgumentParser(prog="spikes-accounts", description=__doc__.splitlines()[0])
parser.add_argument(
    "--teacher",
    action="store_true",
    help="may approve accounts and stop servers",
)
parser.add_argument("names", nargs="+", metavar="NAME", help="or @FILE with one name per line")
parser.fromfile_prefix_chars = "@"
chosen = parser.parse_args()
for name in chosen.names:
    if not re.fullmatch("[a-z0-9][a-z0-9_-]{0,23}", name):
        parser.error(f"{name!r}: a name has up to 24 of a-z, 0-9, - and _")

os.umask(0o077)
db = orm.new_session_factory(f"sqlite:///{STATE}/jupyterhub.sqlite")()
for name in chosen.names:
    password = "-".join("".join(secrets.choice(LETTERS) for _ in range(4)) for _ in range(3))
    account = UserInfo.find(db, name) or UserInfo(username=name)
    account.password = bcrypt.hashpw(password.encode(), bcrypt.gensalt())
    account.is_authorized = True
    user = orm.User.find(db, name) or orm.User(name=name)
    user.admin = user.admin or chosen.teacher
    db.add_all([account, user])
    db.commit()
    print(f"{name}\t{password}")
