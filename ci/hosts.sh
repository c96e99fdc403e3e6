#!/usr/bin/env bash
# The released program, and the hosts that it runs on.
#
#   ci/hosts.sh [PART|HOST...]     default: all
#
#   program    a static dbco is compiled twice, in folders of different length: the same bytes, at most 20 MB stripped; it remains as
#              out/hosts/dbco. With it, a project in an empty folder builds on the library that is in the program, from no clone
#   arm64      that program assembles a root of Debian 13 with a cross compiler, in which a static dbco for arm64 is compiled twice, from
#              vendored crates, without a network and with equal results; it remains as out/hosts/dbco-arm64. Emulated by QEMU, it
#              checks $RECIPE and packs a template as that for x86-64 does, to the same bytes
#   HOST       bookworm, trixie, sid or alpine: that program assembles a root of this distribution, and builds $RECIPE inside it, from
#              vendored sources and without a network, with an empty store: the outputs have the sums of those that this machine builds
#
# Environment: RECIPE (default quick), DBCO_STORE. trixie and sid are locked anew; the cross compiler's packages are, if the folder
# out/hosts/arm64 does not exist. Alpine's root is a download of Alpine's; $ALPINE_ROOT is a folder or archive to use instead. Needs a
# user who may create user namespaces; some minutes for each host.
set -euo pipefail
export LC_ALL=C.UTF-8
cd "$(dirname "$0")/.."
project=$PWD
RECIPE=${RECIPE:-quick}
MOST=$((20 * 1000 * 1000))
TARGET=x86_64-unknown-linux-gnu
ARM_TARGET=aarch64-unknown-linux-gnu

parts=() hosts=()
for word; do
  case $word in
    program | arm64) parts+=("$word") ;;
    bookworm | trixie | sid | alpine) hosts+=("$word") ;;
    *)
      sed -n '2,/^set /s/^# \{0,1\}//p' "$0" >&2
      exit 2
      ;;
  esac
done
[ $# -gt 0 ] || { parts=(program arm64) && hosts=(bookworm trixie sid alpine); }

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
# Addresses that a position-independent program adjusts at its start are stated in 9 kB instead of 900 (glibc 2.36).
flags() { # FOLDER CRATES
  echo "-C target-feature=+crt-static -C link-arg=-Wl,-z,pack-relative-relocs --remap-path-prefix=$1=dbco --remap-path-prefix=$2=cargo"
}

compile() { # FOLDER
  git clone -q "$project" "$1"
  (cd "$1" && RUSTFLAGS=$(flags "$1" "${CARGO_HOME:-$HOME/.cargo}") \
    cargo build --quiet --locked --profile dist --target $TARGET --features embedded-library --bin dbco)
}

# Two compilations of a target, of which the first is kept.
keep() { # FILE FOLDER FOLDER TARGET
  local size
  cmp "$2/target/$4/dist/dbco" "$3/target/$4/dist/dbco" || fail 'two compilations differ'
  cp "$2/target/$4/dist/dbco" "$1"
  ! readelf -d "$1" | grep NEEDED || fail 'it is not static'
  size=$(stat -c %s "$1")
  echo "${1##*/}: $size bytes, at most $MOST, $(sha256sum < "$1" | cut -c1-12)"
  [ "$size" -le $MOST ] || fail 'it is too large'
}

program() {
  local one=$work/one two=$work/a/longer/folder/for/two
  mkdir -p "${two%/*}"
  compile "$one"
  compile "$two"
  keep "$out/dbco" "$one" "$two" $TARGET
  without_clone
}

# The checkouts that the program was compiled in are gone.
without_clone() {
  local folder=$work/new/box
  rm -rf "$work/one" "$work/a"
  mkdir -p "$folder/recipes" "$work/new/home"
  echo 'library: embedded' > "$folder/dbco.yaml"
  printf 'recipe: box\nextends: library:%s.yaml\ntests: []\n' "$RECIPE" > "$folder/recipes/box.yaml"
  (
    cd "$folder"
    export HOME=$work/new/home XDG_CACHE_HOME=
    unshare --user --map-root-user --net "$out/dbco" lock --store "$work/new/store"
    "$out/dbco" check --locked --store "$work/new/store"
    "$out/dbco" graph --store "$work/new/store" | tail -n 3
  )
  [ -d "$work/new/store/libraries" ] || fail 'the library was not unpacked'
  echo 'a project without a clone: locked and planned'
}

# The archive of a template of Debian 13.
debian13() { # NAME ARCH PACKAGES [LINKS]
  local copy=$work/recipes-$1
  mkdir -p "$copy" "$out/arm64"
  cp -R recipes kernel-config livefs "$copy/"
  cat > "$copy/recipes/$1.yaml" << END
recipe: $1
extends: dbcolinux.yaml
template:
  layout: fhs
  debian: {suite: trixie, arch: $2}
  packages: [$3]
  exclude: [/usr/share/doc/**, /usr/share/locale/**, /usr/share/man/**]
  links: {${4:-}}
outputs: [template]
tests: []
END
  "$out/dbco" build --only template -o "$out/arm64" --lock "$out/arm64/$1.lock" "$copy/recipes/$1.yaml"
}

# Compiles in a namespace whose root has the cross compiler. CARGO_HOME has the crates.
compile_arm64() { # ROOT FOLDER
  local home=$2.cargo
  git clone -q "$project" "$work$2"
  mkdir "$work$home"
  cp -Rl "$work/given/vendor" "$work$home/vendor"
  printf '[source.crates-io]\nreplace-with = "vendored"\n[source.vendored]\ndirectory = "%s/vendor"\n' "$home" > "$work$home/config.toml"
  inside "$1" "cd $2; export HOME=/given CARGO_HOME=$home PATH=/usr/bin:/bin RUSTFLAGS='$(flags "$2" "$home")'
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
    cargo build --quiet --locked --offline --profile dist --target $ARM_TARGET --features embedded-library --bin dbco"
}

# Debian's compiler and its standard library for arm64 are of one source; Rust's own library for arm64 fits only Rust's own compiler, and
# comes from servers that a machine with a Debian mirror need not reach. Packages of two architectures can't be in one root.
arm64() {
  local root=$work/root-arm64 one=/given/one two=/given/a/longer/folder/for/two
  [ -x "$out/dbco" ] || fail 'ci/hosts.sh program comes first'
  debian13 cross amd64 \
    'bash, cargo-web, coreutils, dash, gcc, gcc-aarch64-linux-gnu, libc6-dev, libc6-dev-arm64-cross, mount, qemu-user-static, rustc-web' \
    '/bin/sh: dash, /usr/bin/cc: gcc'
  debian13 std arm64 libstd-rust-web-dev
  debian13 small arm64 base-files
  mkdir "$root"
  tar -xf "$out"/arm64/cross/*.tar.gz -C "$root" --exclude='dev/*'
  tar -xf "$out"/arm64/std/*.tar.gz -C "$root" "./usr/lib/rustlib/$ARM_TARGET"
  rm -rf "$work/given"
  mkdir -p "$work/given" "$work${two%/*}"
  cargo vendor --quiet --locked "$work/given/vendor" > /dev/null
  compile_arm64 "$root" "$one"
  compile_arm64 "$root" "$two"
  keep "$out/dbco-arm64" "$work$one" "$work$two" $ARM_TARGET
  emulate "$root/usr/bin/qemu-aarch64-static"
}

# Emulated, the program for arm64 says and writes what that for x86-64 does. What runs tools needs an emulator known to the kernel.
emulate() { # QEMU
  local kind name
  for kind in native arm64; do
    local dbco=("$out/dbco")
    [ $kind = native ] || dbco=("$1" "$out/dbco-arm64")
    {
      "${dbco[@]}" --version
      "${dbco[@]}" check --locked "recipes/$RECIPE.yaml"
      "${dbco[@]}" build --only template --locked --store "$work/store-$kind" -o "$work/out-$kind" --lock "$out/arm64/small.lock" \
        "$work/recipes-small/recipes/small.yaml" >&2
      for name in SHA256SUMS small.tar.gz; do sha256sum < "$work/out-$kind/small/$name"; done
    } > "$work/said-$kind"
  done
  diff "$work/said-native" "$work/said-arm64" || fail 'emulated, it does something else'
  echo 'dbco-arm64: as that for x86-64'
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
