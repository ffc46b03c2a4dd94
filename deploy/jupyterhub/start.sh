#!/bin/bash
# Start the hub in the foreground, without systemd. Control-C stops only the hub: servers and
# proxy keep running, and the next start finds them. `spikes-start --stop` stops everything.
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
  # The proxy is what the network reaches, so it runs as a user without rights.
  setpriv --reuid=nobody --regid=nogroup --clear-groups \
    "$prefix/hub/bin/python" "$prefix/etc/proxy.py" >>proxy.log 2>&1 </dev/null &
  echo $! >proxy.pid
fi
exec "$prefix/hub/bin/jupyterhub" --config "$prefix/etc/jupyterhub_config.py"
