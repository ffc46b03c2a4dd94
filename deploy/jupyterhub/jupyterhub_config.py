"""The hub of one server. What a teacher changes is in hub.toml, beside the installed copy."""

import os
import pwd
import resource
import subprocess
import sys
import tomllib
from datetime import datetime
from pathlib import Path

from jupyterhub.spawner import LocalProcessSpawner, set_user_setuid
from nativeauthenticator import NativeAuthenticator

c = get_config()  # noqa: F821
PREFIX = Path(__file__).resolve().parents[1]
COURSE = PREFIX / "course"
STATE = PREFIX / "state"
SETTINGS = tomllib.loads((PREFIX / "etc" / "hub.toml").read_text())
SYSTEMD = Path("/run/systemd/system").is_dir()
#: A participant named `root` becomes the system's user `spikes-root`.
SYSTEM_USER = "spikes-{}"

# The hub and its proxy. Each can be restarted alone; servers and kernels keep running.
os.umask(0o077)
c.JupyterHub.bind_url = SETTINGS["listen"]
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{SETTINGS['hub_port']}"
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{SETTINGS['proxy_api_port']}"
c.ConfigurableHTTPProxy.should_start = False
c.JupyterHub.cleanup_servers = False
c.JupyterHub.db_url = f"sqlite:///{STATE}/jupyterhub.sqlite"
c.JupyterHub.cookie_secret_file = str(STATE / "cookie_secret")
c.JupyterHub.concurrent_spawn_limit = 100  # beyond that, people are told to try again
c.JupyterHub.allow_named_servers = False


# Who may sign in.
class Accounts(NativeAuthenticator):
    """Accounts that a teacher makes or approves."""

    def get_handlers(self, app):
        # Its own sign-in page (1.3.0) fails with JupyterHub 6: use JupyterHub's page.
        return [(path, page) for path, page in super().get_handlers(app) if path != "/login"]


if oauth := SETTINGS.get("oauth"):
    c.JupyterHub.authenticator_class = oauth.pop("class")
    for name, value in oauth.items():
        c.OAuthenticator[name] = set(value) if isinstance(value, list) else value
else:
    c.JupyterHub.authenticator_class = Accounts
    c.Authenticator.allow_all = True  # everyone whose account a teacher approved
    c.NativeAuthenticator.enable_signup = SETTINGS["sign_up"]
    c.NativeAuthenticator.open_signup = False
    c.NativeAuthenticator.minimum_password_length = 10
    c.NativeAuthenticator.check_common_password = True
    c.NativeAuthenticator.allowed_failed_logins = 5
    c.NativeAuthenticator.seconds_before_next_try = 60
    if SETTINGS["sign_up"]:
        c.JupyterHub.template_vars = {
            "announcement_login": 'No account yet? <a href="/hub/signup">Ask for one</a>, '
            "and tell your teacher, who approves it."
        }
c.Authenticator.username_pattern = "[a-z0-9][a-z0-9_-]{0,23}"


# What runs for a participant.
LIMIT = int(SETTINGS["memory_gb"] * 2**30)
# Limit per process, so that a kernel gets a MemoryError instead of being killed. The stacks of
# its threads count although they are hardly used, and there is one thread or more per core.
PER_PROCESS = LIMIT + os.cpu_count() * 32 * 2**20
c.Spawner.cmd = [str(COURSE / "bin" / "python"), "-m", "spikes_hub.server"]
c.Spawner.notebook_dir = "~"
c.Spawner.default_url = (
    f"/git-pull?repo={SETTINGS['course']}&branch=notebooks"
    f"&urlpath=lab/tree/{SETTINGS['course'].rsplit('/', 1)[-1]}/participant"
)
c.Spawner.mem_limit = LIMIT
c.Spawner.cpu_limit = SETTINGS["processors"]
c.Spawner.start_timeout = 180
c.Spawner.http_timeout = 120
c.Spawner.env_keep = ["LANG"]
c.Spawner.environment = {
    "PATH": f"{COURSE}/bin:/usr/local/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    # Kernels' sockets are here: the path of a socket has at most 107 characters.
    "JUPYTER_RUNTIME_DIR": lambda spawner: f"{home(spawner)}/.run",
    "GIT_CONFIG_SYSTEM": str(PREFIX / "etc" / "gitconfig"),
    "WORKSHOP_DATA_DIR": str(PREFIX / "data"),
    # If this server could not download the recording, nobody's first cell tries again.
    "WORKSHOP_DATA_SOURCE": (
        "auto" if (PREFIX / "data" / "allen_478498617.nwb").exists() else "simulated"
    ),
}
# What deploy/fill_cache.sh compiled. JAX would warn about a folder that does not exist.
CACHE = PREFIX / "cache"
if (CACHE / "jax").is_dir():
    c.Spawner.environment["JAX_COMPILATION_CACHE_DIR"] = str(CACHE / "jax")


def home(spawner):
    """Return the participant's home folder."""
    return f"{SETTINGS['homes']}/{SYSTEM_USER.format(spawner.user.name)}"


def make_system_user(spawner):
    """Create the participant's system user, with a home folder that only they can read."""
    name = SYSTEM_USER.format(spawner.user.name)
    try:
        pwd.getpwnam(name)
    except KeyError:
        subprocess.run(
            [
                *("useradd", "--create-home", "--home-dir", home(spawner), "--user-group"),
                *("--shell", "/bin/bash", "--key", "HOME_MODE=0700"),
                *(("--skel", str(CACHE / "home")) if CACHE.is_dir() else ()),
                name,
            ],
            check=True,
        )


c.Spawner.pre_spawn_hook = make_system_user


class LimitedProcessSpawner(LocalProcessSpawner):
    """Without systemd: processes of the participant's user, each with its own limit."""

    def make_preexec_fn(self, name):
        become = set_user_setuid(SYSTEM_USER.format(name))

        def preexec():
            resource.setrlimit(resource.RLIMIT_DATA, (PER_PROCESS, PER_PROCESS))
            resource.setrlimit(resource.RLIMIT_NPROC, (1000, 1000))
            become()

        return preexec

    def user_env(self, env):
        user = pwd.getpwnam(SYSTEM_USER.format(self.user.name))
        return env | {"USER": user.pw_name, "HOME": user.pw_dir, "SHELL": user.pw_shell}


if SYSTEMD:
    c.JupyterHub.spawner_class = "systemd"
    c.SystemdSpawner.username_template = SYSTEM_USER.format("{USERNAME}")
    c.SystemdSpawner.unit_name_template = "spikes-user-{USERNAME}"
    c.SystemdSpawner.default_shell = "/bin/bash"
    c.SystemdSpawner.isolate_tmp = True
    c.SystemdSpawner.unit_extra_properties = {
        "OOMPolicy": "continue",  # only the process that takes too much memory is killed
        "LimitDATA": str(PER_PROCESS),
        "TasksMax": "1000",
    }
else:
    c.JupyterHub.spawner_class = LimitedProcessSpawner


# Idle servers are stopped, but not in the middle of a talk.
WORKSHOP = [tuple(map(datetime.fromisoformat, hours)) for hours in SETTINGS["workshop"]]


def may_stop(inactive, inactive_limit, server):
    """Tell whether a server may be stopped now."""
    if any(begin <= datetime.now() <= end for begin, end in WORKSHOP):
        return False
    return inactive is not None and inactive.total_seconds() >= inactive_limit


c.IdleCuller.timeout = int(SETTINGS["idle_hours"] * 3600)
c.IdleCuller.cull_every = 300
c.IdleCuller.cull_arbiter_hook = may_stop
c.JupyterHub.services = [
    {
        "name": "idle-culler",
        "command": [sys.executable, "-m", "jupyterhub_idle_culler", f"--config={__file__}"],
    }
]
c.JupyterHub.load_roles = [
    {
        "name": "idle-culler",
        "services": ["idle-culler"],
        "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
    }
]
