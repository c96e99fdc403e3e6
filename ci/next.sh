#!/usr/bin/env bash
# The shipped recipes and components with the tools of other suites of Debian, which change over time: GCC 14 of trixie, and sid's newest.
#
#   ci/next.sh [PART...] [SUITE...]     default: all parts, trixie and sid
#
#   components   every component is built with the suite's compilers, packed by its tools, booted by its QEMU, with the kernel of
#                recipes/quick.yaml; then built again in a separate store: the outputs are the same
#   kernel       Linux 6.12 (recipes/dbcolinux-6.12.yaml) is built with the suite's compiler and passes its boot tests
#   containers   the same for the recipes of containers and applications, on that kernel
#   erofs        recipes/erofs.yaml is built, booted, and built again in a separate store: the outputs are the same
#
# Each toolchain in a copy of recipes/ uses the suite, with a new lock of what the mirrors have today. Takes half an hour for a suite, and
# an hour with `containers`. Environment: WORK (a folder that is used and kept), DBCO_STORE.
set -euo pipefail
cd "$(dirname "$0")/.."
project=$PWD

parts=() suites=()
for word; do
  case $word in
    components | kernel | containers | erofs) parts+=("$word") ;;
    -*)
      sed -n '2,14s/^# \{0,1\}//p' "$0" >&2
      exit 2
      ;;
    *) suites+=("$word") ;;
  esac
done
[ ${#parts[@]} -gt 0 ] || parts=(components kernel containers erofs)
[ ${#suites[@]} -gt 0 ] || suites=(trixie sid)

if [ -n "${WORK:-}" ]; then
  mkdir -p "$WORK"
  work=$(realpath "$WORK")
else
  work=$(mktemp -d "${TMPDIR:-/var/tmp}/dbco-next.XXXXXX")
  trap 'rm -rf "$work"' EXIT
fi
trap 'exit 130' INT TERM

cargo build --locked --release --quiet
dbco=$project/target/release/dbco

# The packages of a suite's toolchain in addition to those of Debian 12's.
differences() {
  case $1.$2 in
    # Only Debian 12 has a Rust for browsers whose version does not change.
    *.rust) printf '%s\n' 'without: [cargo-web, rustc-web]' 'packages: [cargo, rustc]' ;;
    # Since 2026 ovmf contains only dependencies.
    sid.qemu) echo 'packages: [ovmf-generic]' ;;
  esac
}

# The project in $work/SUITE, with the toolchains of that suite.
lay_out() {
  local suite=$1 folder=$work/$1 file name
  rm -rf "$folder/recipes" "$folder/kernel-config" "$folder/livefs"
  mkdir -p "$folder/livefs"
  cp -R recipes kernel-config "$folder/"
  cp -R livefs/src livefs/Cargo.toml livefs/Cargo.lock "$folder/livefs/"
  mv "$folder/recipes/toolchains" "$folder/recipes/shipped"
  mkdir "$folder/recipes/toolchains"
  for file in "$folder"/recipes/shipped/*.yaml; do
    name=$(basename "$file" .yaml)
    {
      printf 'toolchain: %s\nextends: ../shipped/%s.yaml\ndebian: {suite: %s}\n' "$name" "$name" "$suite"
      differences "$suite" "$name"
    } > "$folder/recipes/toolchains/$name.yaml"
  done
  rm -f "$folder/recipes/dbco.lock"
  sed -i 's/^extends: dbcolinux.yaml$/extends: dbcolinux-6.12.yaml/' "$folder"/recipes/{containers,http,redis}.yaml
  {
    # Each application has its own way to be started.
    printf 'recipe: components\nextends: quick.yaml\nrootfs:\n  replace: [/usr/app/run]\n  components:\n'
    # Kernels are built elsewhere.
    for file in "$folder"/recipes/components/*.yaml; do
      name=$(basename "$file" .yaml)
      case $name in
        # Built as dependencies; a template is built for another layout.
        linux-* | musl | libcap | libnet | libnl | libseccomp | protobuf-c | alpine-minirootfs) ;;
        *) echo "    - $name" ;;
      esac
    done
  } > "$folder/recipes/components.yaml"
}

# Builds a recipe, tests it, and builds it again in another folder.
twice() {
  "$dbco" build "recipes/$1.yaml"
  "$dbco" test --locked "recipes/$1.yaml"
  rm -rf "$PWD/again"
  "$dbco" build --locked --store again/store -o again/out "recipes/$1.yaml"
  diff "out/$1/SHA256SUMS" "again/out/$1/SHA256SUMS"
  rm -rf "$PWD/again"
}

components() {
  twice components
}

erofs() {
  twice erofs
}

kernel() {
  "$dbco" test recipes/dbcolinux-6.12.yaml
}

containers() {
  local recipe
  for recipe in containers http redis; do "$dbco" test "recipes/$recipe.yaml"; done
}

for suite in "${suites[@]}"; do
  lay_out "$suite"
  for part in "${parts[@]}"; do
    echo "--- $suite: $part"
    (
      cd "$work/$suite"
      "$part"
    )
  done
done
