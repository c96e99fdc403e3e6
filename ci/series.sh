#!/usr/bin/env bash
# Checks the kernel's patch series with the kernel's own tools.
#
#   ci/series.sh [PART...]     default: apply style
#
#   apply      each patch applies to the one before, without fuzz
#   style      scripts/checkpatch.pl --strict has no complaints
#   warnings   make W=1 and sparse report nothing new for the files that the series touches
#   bisect     the kernel of recipes/dbcolinux.yaml builds after each patch
#   off        with the options off: the objects that the series does not touch are identical, and those that it
#              touches have the same machine code
#
# The first two take a minute. `warnings` takes ten, `bisect` and `off` half an hour and more on two cores.
#
# Needs the kernel's source in the store (`dbco fetch`) and on this machine the tools for building a kernel: gcc, make, flex, bison,
# bc, perl, libelf; for `warnings` also sparse. Environment: SERIES (default linux-6.1: the folder of recipes/patches), SOURCE (a
# tarball, default that of recipes/dbco.lock), DBCO_STORE, JOBS, WORK (a folder that is used and kept: a later run continues
# with its content).
set -euo pipefail
export LC_ALL=C.UTF-8
cd "$(dirname "$0")/.."
project=$PWD

SERIES=${SERIES:-linux-6.1}
JOBS=${JOBS:-$(nproc)}
store=${DBCO_STORE:-${XDG_CACHE_HOME:-$HOME/.cache}/dbco}
patches=("$project/recipes/patches/$SERIES"/*.patch)
config=$project/kernel-config
# As in recipes/dbcolinux.yaml; the last one enables the series.
fragments=(tiny hardware virt containers)
options=ovz

die() {
  echo "error: $*" >&2
  exit 1
}

if [ -n "${WORK:-}" ]; then
  mkdir -p "$WORK"
  work=$(realpath "$WORK")
else
  work=$(mktemp -d "${TMPDIR:-/var/tmp}/dbco-series.XXXXXX")
  trap 'rm -rf "$work"' EXIT
fi
trap 'exit 130' INT TERM
tree=$work/linux

# A fresh tree without any patch.
unpack() {
  local sha256 tarball=${SOURCE:-}
  if [ -z "$tarball" ]; then
    sha256=$(grep -A 4 'name: linux_6.1.*orig.tar.xz' recipes/dbco.lock | awk '$1 == "sha256:" { print $2 }')
    tarball=$store/blobs/${sha256:0:2}/$sha256
    [ -e "$tarball" ] || die "the kernel's source is not in $store: run \`dbco fetch\`, or name a tarball in SOURCE"
  fi
  if [ ! -e "$tree/MAINTAINERS" ]; then
    mkdir -p "$tree"
    tar -xf "$tarball" -C "$tree" --strip-components=1 --no-same-owner
    echo 0 > "$work/applied"
  fi
  upto 0
}

# Leaves the first N patches applied. Only files that a patch changes get new times, so that make rebuilds as little as possible.
upto() {
  local have
  have=$(cat "$work/applied")
  while [ "$have" -gt "$1" ]; do
    have=$((have - 1))
    patch -d "$tree" -p1 -R --batch --fuzz=0 --quiet -i "${patches[have]}"
    echo "$have" > "$work/applied"
  done
  while [ "$have" -lt "$1" ]; do
    patch -d "$tree" -p1 --batch --fuzz=0 --quiet -i "${patches[have]}" || die "${patches[have]} does not apply"
    have=$((have + 1))
    echo "$have" > "$work/applied"
  done
}

# configure FOLDER FRAGMENT...
configure() {
  local folder=$1
  shift
  mkdir -p "$folder"
  make -s -C "$tree" O="$folder" ARCH=x86_64 tinyconfig > /dev/null
  cat "${@/#/$config/}" >> "$folder/.config"
  make -s -C "$tree" O="$folder" ARCH=x86_64 olddefconfig > "$work/log" 2>&1 || { cat "$work/log" && return 1; }
}

build() {
  local folder=$1
  shift
  make -s -C "$tree" O="$folder" ARCH=x86_64 -j"$JOBS" KBUILD_BUILD_TIMESTAMP=1970-01-01 KBUILD_BUILD_USER=x KBUILD_BUILD_HOST=x "$@"
}

on=("${fragments[@]/%/.config}" "$options.config")
off=("${fragments[@]/%/.config}")

# The C files that the series touches, as their objects.
objects() {
  sed -n 's/^+++ b\/\(.*\)\.c$/\1.o/p' "${patches[@]}" | sort -u
}

apply() {
  local n
  for n in $(seq ${#patches[@]}); do upto "$n"; done
  # patch(1) reports fuzz and offsets; after a clean run there are no rejects and no backups.
  [ -z "$(find "$tree" -name '*.rej' -o -name '*.orig' | head -n 1)" ] || die "the series leaves rejects"
  echo "apply: ${#patches[@]} patches, no fuzz"
}

style() {
  local patch
  upto ${#patches[@]}
  for patch in "${patches[@]}"; do
    (cd "$tree" && perl scripts/checkpatch.pl --strict --quiet "$patch") || die "checkpatch.pl --strict: $patch"
  done
  echo "style: checkpatch.pl --strict is content with ${#patches[@]} patches"
}

# The messages of gcc with W=1 and sparse for these objects, without line numbers.
complaints() {
  local have=()
  mapfile -t have < <(for object in $(objects); do if [ -e "$tree/${object%.o}.c" ]; then echo "$object"; fi; done)
  configure "$work/warnings" "${on[@]}"
  build "$work/warnings" prepare > /dev/null
  # Objects that exist already would be skipped silently.
  for object in "${have[@]}"; do rm -f "$work/warnings/$object"; done
  build "$work/warnings" -k W=1 C=1 "${have[@]}" 2>&1 | sed -E 's/:[0-9]+:[0-9]+:/:/g; s/^\.\.\/[^ ]*linux\///' | grep -E 'warning:|error:' | sort -u
}

warnings() {
  command -v sparse > /dev/null || die 'sparse is not installed'
  upto 0
  complaints > "$work/before" || true
  upto ${#patches[@]}
  complaints > "$work/after" || true
  # The absence of messages only counts for what was compiled.
  local object
  for object in $(objects); do [ -e "$work/warnings/$object" ] || die "$object was not compiled"; done
  comm -13 "$work/before" "$work/after" > "$work/new"
  [ ! -s "$work/new" ] || { cat "$work/new" && die 'W=1 and sparse say more than before'; }
  echo "warnings: $(objects | wc -l) files, W=1 and sparse say nothing new ($(wc -l < "$work/after") lines as before)"
}

bisect() {
  local n
  for n in $(seq ${#patches[@]}); do
    upto "$n"
    configure "$work/bisect" "${on[@]}"
    build "$work/bisect" vmlinux > "$work/log" 2>&1 || { tail -n 40 "$work/log" && die "does not build after ${patches[n - 1]}"; }
    [ ! -s "$work/log" ] || { cat "$work/log" && die "make says something after ${patches[n - 1]}"; }
    echo "bisect: $n of ${#patches[@]} builds"
  done
}

digests() {
  (cd "$1" && find . -name '*.o' ! -name '*.mod.o' ! -name 'vmlinux*' ! -name '.tmp*' ! -name built-in.o -print0 | sort -z | xargs -0 sha256sum)
}

# The machine code of an object, without references to source lines.
code() {
  objdump -d --no-show-raw-insn "$1" | tail -n +4
}

off() {
  local object changed=0 untouched before=0
  # Patches before the series proper have no option.
  until [[ ${patches[before]} == *-ve-* ]]; do before=$((before + 1)); done
  upto "$before"
  configure "$work/off" "${off[@]}"
  build "$work/off" vmlinux > "$work/log" 2>&1 || { tail -n 40 "$work/log" && die 'the unpatched kernel does not build'; }
  digests "$work/off" > "$work/digests-before"
  mkdir -p "$work/code"
  for object in $(objects); do
    if [ -e "$work/off/$object" ]; then code "$work/off/$object" > "$work/code/${object//\//_}"; fi
  done
  upto ${#patches[@]}
  configure "$work/off" "${off[@]}"
  build "$work/off" vmlinux > "$work/log" 2>&1 || { tail -n 40 "$work/log" && die 'the patched kernel does not build'; }
  digests "$work/off" > "$work/digests-after"
  # init/version.o and the like contain the build number.
  untouched=$(diff "$work/digests-before" "$work/digests-after" | sed -n 's/^[<>] [0-9a-f]*  \.\///p' | sort -u | grep -vxF -f <(objects) |
    grep -vE '^init/version|/built-in\.|^\.vmlinux|^vmlinux' || true)
  [ -z "$untouched" ] || die "objects that the series does not touch differ: $untouched"
  for object in $(objects); do
    [ -e "$work/off/$object" ] || continue
    code "$work/off/$object" | cmp -s - "$work/code/${object//\//_}" || { echo "off: $object has other machine code" && changed=$((changed + 1)); }
  done
  [ $changed -eq 0 ] || die "$changed objects have other machine code with the options off"
  echo "off: $(wc -l < "$work/digests-after") objects; those that the series does not touch are identical, those that it touches have the same machine code"
}

if [ $# -eq 0 ]; then set -- apply style; fi
for part; do
  case $part in
    apply | style | warnings | bisect | off) ;;
    *)
      sed -n '2,20s/^# \{0,1\}//p' "$project/ci/series.sh" >&2
      exit 2
      ;;
  esac
done
unpack
for part; do "$part"; done
