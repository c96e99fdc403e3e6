#!/usr/bin/env bash
# GNU patch 2.7.6 (bookworm) and git's patches of files with blanks in their names. git writes such names without quotes
# (only names with control characters, quotes, backslashes or, by default, bytes beyond ASCII get them):
#
#   1. A change of the content applies: its `---` and `+++` lines end in a tab, which patch takes for the end of the name.
#   2. A rename, a change of mode, an empty file added or deleted have a `diff --git` line at most, and are not applied:
#      "Cannot rename file without two valid file names", or nothing is found in the patch. `git apply` applies all of them.
#
# Expected beforehand: all are applied, as `rename from` and `rename to` have a line for each name.
# Needs apt with bookworm, git. Ends with 1 when this changes.
set -euo pipefail
export LC_ALL=C GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
PACKAGES=(patch=2.7.6-7)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get -qq download "${PACKAGES[@]}" 2> /dev/null
dpkg-deb -x patch_*.deb root
patch=$work/root/usr/bin/patch
"$patch" --version | head -n 1
git --version

changed=0
state() { # TREE: modes, names and contents
  (cd "$1" && find . -path ./.git -prune -o -type f -printf '%m %p ' -exec md5sum {} \; | sort)
}
seen() { # KIND CHANGE EXPECTED-OF-PATCH: makes a patch of the change by git, applies it by both
  local name got expected
  for name in 'a b' ab; do
    rm -rf repository tree-git tree-patch
    git init -q repository
    (
      cd repository
      git config user.name n
      git config user.email e@example.org
      seq 20 > "$name"
      : > "empty-$name"
      git add .
      git commit -qm 1
    )
    cp -r repository tree-git
    cp -r repository tree-patch
    (cd repository && name=$name && eval "$2" && git add -A && git diff --cached -M > ../change.patch)
    (cd tree-git && git apply ../change.patch)
    got='not applied'
    if (cd tree-patch && "$patch" -p1 --batch --forward < ../change.patch) > log 2>&1 && [ "$(state tree-patch)" = "$(state tree-git)" ]; then
      got=applied
    fi
    echo "$1, \`$name\`: $got"
    if [ "$name" = ab ]; then expected=applied; else expected=$3; fi
    [ "$got" = "$expected" ] || { echo "  changed: it was $expected"; changed=1; }
  done
}
# shellcheck disable=SC2016
{
  seen content 'echo more >> "$name"' applied
  seen rename 'git mv "$name" "new-$name"' 'not applied'
  seen mode 'chmod +x "$name"' 'not applied'
  seen 'deleted empty' 'rm "empty-$name"' 'not applied'
}
exit $changed
