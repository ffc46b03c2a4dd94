"""Start configurable-http-proxy as hub.toml says; the token comes from the environment."""

import os
import sys
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

PREFIX = Path(__file__).resolve().parents[1]
settings = tomllib.loads((PREFIX / "etc" / "hub.toml").read_text())
listen = urlsplit(settings["listen"])
hub = f"http://127.0.0.1:{settings['hub_port']}"
program = PREFIX / "proxy" / "node_modules" / ".bin" / "configurable-http-proxy"
if "CONFIGPROXY_AUTH_TOKEN" not in os.environ:
    sys.exit("CONFIGPROXY_AUTH_TOKEN is not set: anybody could change the proxy's routes.")
os.execv(
    program,
    [
        *(program, "--ip", listen.hostname, "--port", str(listen.port)),
        *("--api-ip", "127.0.0.1", "--api-port", str(settings["proxy_api_port"])),
        *("--default-target", hub, "--error-target", f"{hub}/hub/error"),
    ],
)
