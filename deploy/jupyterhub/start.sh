#!/bin/bash
# Start the hub in the foreground, where there is no systemd. Control-C stops the hub alone:
# servers and proxy go on, and the next start finds them. `spikes-start --stop` ends all.
set -euo pipefail
prefix=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
cd "$prefix/state"
set -a
. ./secrets.env
set +a

if [ "${1:-}" = --stop ]; then
  exec "$prefix/hub/bin/python" "$prefix/etc/stop.py"
fi
if ! kill -0 "$(cat proxy.pid 2>/dev/null)" 2>/dev/null; then
  # As a user who owns nothing: the proxy is what the world talks to.
  setpriv --reuid=nobody --regid=nogroup --clear-groups \
    "$prefix/hub/bin/python" "$prefix/etc/proxy.py" >>proxy.log 2>&1 </dev/null &
  echo $! >proxy.pid
fi
exec "$prefix/hub/bin/jupyterhub" --config "$prefix/etc/jupyterhub_config.py"
