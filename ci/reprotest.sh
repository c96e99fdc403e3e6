#!/usr/bin/env bash
# Tools of others judge whether builds are reproducible: Debian's reprotest builds a recipe twice in surroundings that it varies (environment,
# folder, home, PATH, host and domain name, locale, time zone, clock, umask, processors, kernel personality, address space, order of
# directory listings), and diffoscope compares all outputs. Its control is built on one processor.
#
#   ci/reprotest.sh [RECIPE]     default: quick, two builds of two minutes
#
# The sources are vendored before; the stores are empty. Needs Debian's packages reprotest, diffoscope-minimal, disorderfs, faketime, fuse
# and locales-all. Environment: DBCO (default target/release/dbco), DBCO_STORE.
set -euo pipefail
export LC_ALL=C.UTF-8
cd "$(dirname "$0")/.."
recipe=${1:-quick}
DBCO=$(realpath "${DBCO:-target/release/dbco}")

for tool in reprotest diffoscope disorderfs faketime fusermount; do
  command -v "$tool" > /dev/null || { echo "error: no $tool: install the packages that $0 names" >&2 && exit 2; }
done
work=$(mktemp -d "${TMPDIR:-/var/tmp}/dbco-reprotest.XXXXXX")
trap 'chmod -R u+rwX "$work" 2> /dev/null; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

"$DBCO" vendor -o "$work/vendor" "recipes/$recipe.yaml"
mkdir -p "$work/project/livefs"
cp -R recipes kernel-config "$work/project/"
cp -R livefs/src livefs/Cargo.toml livefs/Cargo.lock "$work/project/livefs/"
# Another user needs entries in /etc/sudoers.
reprotest --vary=-user_group --store-dir "$work/artifacts" -s "$work/project" \
  "$DBCO build --vendor $work/vendor --store store -o out recipes/$recipe.yaml" "out/$recipe/*" -- null
# What it has compared.
(cd "$work/artifacts/control/source-root/out/$recipe" && sha256sum --check SHA256SUMS)
