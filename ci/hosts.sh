#!/usr/bin/env bash
# The released program, and the hosts that it runs on.
#
#   ci/hosts.sh [PART|HOST...]     default: all
#
#   program    a static dbco is compiled twice, in folders of different length: the same bytes, at most 20 MB stripped; it remains as
#              out/hosts/dbco
#   HOST       bookworm, trixie, sid or alpine: that program assembles a root of this distribution, and builds $RECIPE inside it, from
#              vendored sources and without a network, with an empty store: the outputs have the sums of those that this machine builds
#
# Environment: RECIPE (default quick), DBCO_STORE. trixie and sid are locked anew. Alpine's root is a download of Alpine's; $ALPINE_ROOT is
# a folder or archive to use instead. Needs a user who may create user namespaces; some minutes for each host.
set -euo pipefail
export LC_ALL=C.UTF-8
cd "$(dirname "$0")/.."
project=$PWD
RECIPE=${RECIPE:-quick}
MOST=$((20 * 1000 * 1000))
TARGET=x86_64-unknown-linux-gnu

parts=() hosts=()
for word; do
  case $word in
    program) parts+=("$word") ;;
    bookworm | trixie | sid | alpine) hosts+=("$word") ;;
    *)
      sed -n '2,12s/^# \{0,1\}//p' "$0" >&2
      exit 2
      ;;
  esac
done
[ $# -gt 0 ] || { parts=(program) && hosts=(bookworm trixie sid alpine); }

out=$project/out/hosts
mkdir -p "$out"
work=$(mktemp -d "${TMPDIR:-/var/tmp}/dbco-hosts.XXXXXX")
# Folders that a namespace's root has made belong to this user.
trap 'chmod -R u+rwX "$work" 2> /dev/null; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

fail() {
  echo "error: $*" >&2
  exit 1
}

# Static with glibc, which since 2.34 has the name services within that dbco needs. Paths of the build would end up in messages of panics.
compile() { # FOLDER
  git clone -q "$project" "$1"
  local crates=${CARGO_HOME:-$HOME/.cargo}
  (cd "$1" && CARGO_PROFILE_RELEASE_DEBUG=false CARGO_PROFILE_RELEASE_STRIP=symbols \
    RUSTFLAGS="-C target-feature=+crt-static --remap-path-prefix=$1=dbco --remap-path-prefix=$crates=cargo" \
    cargo build --quiet --locked --release --target $TARGET --bin dbco)
}

program() {
  local one=$work/one two=$work/a/longer/folder/for/two size
  mkdir -p "${two%/*}"
  compile "$one"
  compile "$two"
  cmp "$one/target/$TARGET/release/dbco" "$two/target/$TARGET/release/dbco" || fail 'two compilations differ'
  cp "$one/target/$TARGET/release/dbco" "$out/dbco"
  ! readelf -d "$out/dbco" | grep NEEDED || fail 'it is not static'
  size=$(stat -c %s "$out/dbco")
  echo "program: $size bytes, at most $MOST, $(sha256sum < "$out/dbco" | cut -c1-12)"
  [ "$size" -le $MOST ] || fail 'it is too large'
}

# What this machine builds, and the sources for it.
reference() {
  [ -x "$out/dbco" ] || fail 'ci/hosts.sh program comes first'
  "$out/dbco" build --locked "recipes/$RECIPE.yaml"
  rm -rf "$out/vendor"
  "$out/dbco" vendor -o "$out/vendor" "recipes/$RECIPE.yaml"
}

# A root of the distribution in a folder: the least in which a shell starts.
assemble() { # HOST FOLDER
  local copy=$work/recipes-$1
  mkdir -p "$2"
  if [ "$1" = alpine ] && [ -n "${ALPINE_ROOT:-}" ]; then
    if [ -d "$ALPINE_ROOT" ]; then cp -R "$ALPINE_ROOT/." "$2"; else tar -xf "$ALPINE_ROOT" -C "$2"; fi
    return
  fi
  mkdir "$copy"
  cp -R recipes kernel-config livefs "$copy/"
  if [ "$1" = alpine ]; then
    "$out/dbco" build --only template -o "$copy/out" --lock "$copy/lock" "$copy/recipes/alpine.yaml"
  else
    printf 'recipe: host\nextends: dbcolinux.yaml\ntemplate:\n  layout: fhs\n  debian: {suite: %s}\n' "$1" > "$copy/recipes/host.yaml"
    printf '  packages: [base-files, bash, coreutils, dash, mount]\n  links: {/bin/sh: dash}\noutputs: [template]\ntests: []\n' >> "$copy/recipes/host.yaml"
    "$out/dbco" build --only template -o "$copy/out" --lock "$copy/lock" "$copy/recipes/host.yaml"
  fi
  tar -xf "$copy"/out/*/*.tar.gz -C "$2" --exclude='dev/*'
}

# The build in a new mount, process and network namespace, whose root is the distribution's.
inside() { # FOLDER COMMAND
  # shellcheck disable=SC2016
  unshare --user --map-root-user --mount --pid --net --fork sh -ec '
    cd "$1"
    mkdir -p proc dev sys tmp given
    mount --rbind /dev dev
    mount -t proc proc proc
    mount --rbind /sys sys
    mount --bind "$2" given
    # pivot_root(2), as a process whose root is not that of its mounts may not create user namespaces. The new root must be a mount.
    mount --rbind . .
    cd "$1"
    mkdir -p .old
    pivot_root . .old
    umount -l .old
    exec chroot . /bin/sh -ec "$3"
  ' sh "$1" "$work/given" "$2"
}

host() {
  local root=$work/root-$1
  assemble "$1" "$root"
  rm -rf "$work/given"
  mkdir "$work/given"
  git clone -q "$project" "$work/given/clone"
  cp "$out/dbco" "$work/given/dbco"
  cp -R "$out/vendor" "$work/given/vendor"
  inside "$root" "cd /given/clone; export HOME=/given PATH=/usr/bin:/bin:/usr/sbin:/sbin
    head -n 1 /etc/os-release; /given/dbco build --vendor /given/vendor --store /given/store recipes/$RECIPE.yaml"
  diff "out/$RECIPE/SHA256SUMS" "$work/given/clone/out/$RECIPE/SHA256SUMS" || fail "$1 builds other bytes"
  (cd "$work/given/clone/out/$RECIPE" && sha256sum --check --quiet SHA256SUMS)
  echo "$1: the same as here"
}

for part in "${parts[@]}"; do "$part"; done
if [ ${#hosts[@]} -gt 0 ]; then
  reference
  for name in "${hosts[@]}"; do host "$name"; done
fi
