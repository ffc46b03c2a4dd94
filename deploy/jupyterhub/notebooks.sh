#!/bin/bash
# Hand out a folder of notebooks (`make notebooks`): spikes-notebooks FOLDER
# Commits them to the branch `notebooks` of a repository on this server. Participants get them
# with their next click on a chapter's link; what they typed stays.
set -euo pipefail
prefix=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
from=${1:?Which folder? Usually build/site/notebooks}
[ -d "$from/participant" ] || { echo "There is no folder 'participant' in $from. First: make notebooks" >&2; exit 1; }
umask 022
repository=$prefix/notebooks.git
[ -d "$repository" ] || git init --quiet --bare --initial-branch=notebooks "$repository"
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
cp -r "$from/participant" "$tree"
[ ! -d "$from/complete" ] || cp -r "$from/complete" "$tree"
export GIT_DIR=$repository GIT_INDEX_FILE=$tree/.index GIT_WORK_TREE=$tree
git add --all -- participant $([ ! -d "$tree/complete" ] || echo complete)
commit=$(git -c user.name=course -c user.email=course@localhost commit-tree "$(git write-tree)" \
  $(git rev-parse --quiet --verify notebooks | sed 's/^/-p /') -m "Notebooks of $(date '+%F %T')")
git update-ref refs/heads/notebooks "$commit"
echo "Handed out: $(git ls-tree -r --name-only notebooks | wc -l) notebooks."
