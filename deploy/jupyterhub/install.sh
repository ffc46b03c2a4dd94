#!/bin/bash
# Install the course's JupyterHub on one server with Debian or Ubuntu. As root:
#
#   deploy/jupyterhub/install.sh [--course URL] [--notebooks FOLDER] [--domain NAME]
#
# --course     the repository whose branch `notebooks` the links on the chapters' pages name
# --notebooks  hand out this folder (`make notebooks` writes build/site/notebooks) from the
#              server itself instead of that repository: needs no network
# --domain     the server's host name: HTTPS with Caddy
# --prefix     where to install, instead of /opt/spikes
#
# PYTHON=/path/to/python chooses the Python; without it, the newest one that the course supports.
# Run it again to update: settings, accounts and everyone's files stay.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$here/../.." && pwd)
prefix=/opt/spikes course='' notebooks='' domain=''

fail() { printf 'install.sh: %s\n' "$@" >&2; exit 1; }
say() { printf -- '- %s\n' "$*"; }

while [ $# -gt 0 ]; do
  case $1 in
    --course | --notebooks | --domain | --prefix)
      [ $# -ge 2 ] || fail "$1 needs a value"
      printf -v "${1#--}" %s "$2"
      shift 2 ;;
    *) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit 2 ;;
  esac
done

[ "$(id -u)" = 0 ] || fail "must run as root: sudo $0"
umask 022
systemd=no
[ ! -d /run/systemd/system ] || systemd=yes
mkdir -p "$prefix"
prefix=$(cd "$prefix" && pwd)
as_nobody() { setpriv --reuid=nobody --regid=nogroup --clear-groups "$@" 2>/dev/null; }
as_nobody test -x "$prefix" ||
  fail "participants cannot get into $prefix: a folder above it is closed to them. Choose --prefix"

apt_install() {
  command -v apt-get >/dev/null || fail "this is neither Debian nor Ubuntu. Install: $*"
  say "Debian's packages: $*"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends "$@" >/dev/null
}
find_python() { bash "$source/book/find_python.sh" "$prefix/course"; }

missing=()
for need in git:git node:nodejs npm:npm; do
  command -v "${need%:*}" >/dev/null || missing+=("${need#*:}")
done
[ -e /etc/ssl/certs/ca-certificates.crt ] || missing+=(ca-certificates)
[ -z "$domain" ] || command -v caddy >/dev/null || missing+=(caddy)
[ -n "${PYTHON:-}" ] || { python=$(find_python 2>/dev/null) && "$python" -c 'import ensurepip, venv' 2>/dev/null; } ||
  missing+=(python3 python3-venv)
[ ${#missing[@]} = 0 ] || apt_install "${missing[@]}"
[ "$(node -p 'process.versions.node.split(".")[0]')" -ge 18 ] || fail "the proxy needs Node.js 18 or newer"
python=$(find_python) || exit 1
if ! as_nobody "$python" -c ''; then
  # pyenv's or uv's, below /root. pyenv's loads its library from the path where it was built.
  read -r version folder < <("$python" -c 'import platform, sys; print(platform.python_version(), sys.base_prefix)')
  copy=$prefix/python/$version
  if [ ! -e "$copy" ]; then
    say "$copy: a copy of $folder, which only root can read"
    rm -rf "$copy.partial"
    mkdir -p "$prefix/python"
    cp -r "$folder" "$copy.partial"
    mv "$copy.partial" "$copy"
  fi
  python=$copy/bin/$(basename "$python")
  if ! as_nobody "$python" -c ''; then
    command -v patchelf >/dev/null || apt_install patchelf
    patchelf --set-rpath '$ORIGIN/../lib' "$(readlink -f "$python")"
  fi
  as_nobody "$python" -c '' || fail "only root can run $python. Choose another: PYTHON=/path/to/python $0"
fi

pip() { "$prefix/$1/bin/python" -m pip --quiet --disable-pip-version-check "${@:2}"; }

# An environment whose lock did not change is left alone.
environment() {
  local name=$1 stamp
  shift
  stamp="$("$python" --version) $(cat "$@" | sha256sum)"
  [ "$(cat "$prefix/$name/.lock" 2>/dev/null)" != "$stamp" ] || return 0
  say "$prefix/$name: $(basename -a "$@" | xargs) (a minute or two)"
  "$python" -m venv --clear "$prefix/$name"
  pip "$name" install --require-hashes $(printf -- '-r %s ' "$@")
  echo "$stamp" >"$prefix/$name/.lock"
}
environment hub "$here/requirements.txt"
environment course "${REQUIREMENTS:-$source/requirements.txt}" "$here/requirements.txt"
pip course install --no-deps --no-build-isolation --force-reinstall "$source"

if ! cmp -s "$here/package-lock.json" "$prefix/proxy/package-lock.json"; then
  say "$prefix/proxy: configurable-http-proxy"
  mkdir -p "$prefix/proxy"
  cp "$here/package.json" "$here/package-lock.json" "$prefix/proxy"
  (cd "$prefix/proxy" && npm ci --silent --no-fund --no-audit)
fi

# Settings, commands, secrets.
mkdir -p "$prefix/etc" "$prefix/bin"
install -d -m 700 "$prefix/state"
cp "$here"/{jupyterhub_config.py,accounts.py,proxy.py,stop.py} "$prefix/etc"
[ -e "$prefix/etc/hub.toml" ] || install -m 644 "$here/hub.toml" "$prefix/etc/hub.toml"
[ -z "$course" ] || sed -i "s|^course = .*|course = \"${course%/}\"|" "$prefix/etc/hub.toml"
course=$(sed -n 's/^course = "\(.*\)"/\1/p' "$prefix/etc/hub.toml")
install -m 755 "$here/start.sh" "$prefix/bin/spikes-start"
install -m 755 "$here/notebooks.sh" "$prefix/bin/spikes-notebooks"
printf '#!/bin/sh\nexec %s/hub/bin/python %s/etc/accounts.py "$@"\n' "$prefix" "$prefix" >"$prefix/bin/spikes-accounts"
chmod 755 "$prefix/bin/spikes-accounts"
if [ ! -e "$prefix/state/secrets.env" ]; then
  (umask 077 && echo "CONFIGPROXY_AUTH_TOKEN=$(head -c 32 /dev/urandom | sha256sum | cut -c -64)" >"$prefix/state/secrets.env")
fi

# Jupyter's defaults for everyone, in the environment that everyone shares.
cp -r "$here/defaults/." "$prefix/course/"
cp -r "$here/spikes_hub" "$("$prefix/course/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
"$prefix/course/bin/python" -m compileall -q "$prefix/course"/lib/python*/site-packages/spikes_hub

# Notebooks: from this server, or from the course's repository.
: >"$prefix/etc/gitconfig"
if [ -n "$notebooks" ]; then
  "$prefix/bin/spikes-notebooks" "$notebooks"
fi
if [ -d "$prefix/notebooks.git" ]; then
  say "chapters come from $prefix/notebooks.git instead of $course"
  git config --file "$prefix/etc/gitconfig" safe.directory "$prefix/notebooks.git"
  git config --file "$prefix/etc/gitconfig" "url.$prefix/notebooks.git.insteadOf" "$course"
fi

# One copy of the data for everyone.
say "data, in $prefix/data"
WORKSHOP_DATA_DIR=$prefix/data "$prefix/course/bin/python" -m workshop_utils fetch
chmod -R a+rX "$prefix/data"

# A first account, with a password that nobody else knows.
if [ ! -e "$prefix/state/jupyterhub.sqlite" ]; then
  first=$("$prefix/bin/spikes-accounts" --teacher teacher)
fi

if [ "$systemd" = yes ]; then
  for unit in spikes-proxy spikes-hub; do
    sed "s|PREFIX|$prefix|g" "$here/$unit.service" >"/etc/systemd/system/$unit.service"
  done
  systemctl daemon-reload
  systemctl enable --quiet spikes-proxy spikes-hub
  systemctl start spikes-proxy
  systemctl restart spikes-hub
fi
if [ -n "$domain" ]; then
  listen=$(sed -n 's|^listen = "http://\(.*\)"|\1|p' "$prefix/etc/hub.toml")
  [ -e /etc/caddy/Caddyfile.before-spikes ] || cp /etc/caddy/Caddyfile /etc/caddy/Caddyfile.before-spikes
  printf '%s {\n\treverse_proxy %s\n}\n' "$domain" "$listen" >/etc/caddy/Caddyfile
  [ "$systemd" = no ] || systemctl reload-or-restart caddy
fi

echo
echo "Installed in $prefix. Next:"
[ "$systemd" = yes ] || say "start the hub: $prefix/bin/spikes-start (without systemd, memory is limited per process, and processors are not)"
[ -z "${first:-}" ] || say "sign in as '${first%	*}' with the password '${first#*	}' (it is shown once; $prefix/bin/spikes-accounts makes a new one)"
[ -d "$prefix/cache" ] || say "halve the waiting time in the first chapter: $source/deploy/fill_cache.sh $prefix/course $prefix/cache (takes some minutes; then restart the hub)"
case $course in *OWNER/NAME*) say "say where the notebooks are: repeat with --course https://github.com/…" ;; esac
[ -n "$domain" ] || say "HTTPS: repeat with --domain hub.example.org, or read deploy/jupyterhub/README.md"
