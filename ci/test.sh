#!/usr/bin/env bash
# All tests. Installs nothing and needs no root: what is missing on this machine makes a test fail that says so
# (.ci/run lists the Debian packages).
#
#   ci/test.sh            unit and integration tests, then the boot tests that the shipped recipes declare
#   ci/test.sh quick      unit and integration tests only
#   ci/test.sh cuts [N]   the power cuts of recipes/cuts.yaml, N during each command (20); about half an hour, a tier of its own
#   ci/test.sh machines   the integration tests that boot machines with a foreign kernel: $DBCO_TEST_KERNEL,
#                         or else the one that recipes/quick.yaml gives; takes minutes, a tier of its own
#   ci/test.sh debug      the containers' tests, 1,000 containers and ten minutes of races on a kernel that watches itself
#                         (recipes/debug.yaml); builds that kernel and takes an hour, a tier of its own
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  sed -n '2,12s/^# \{0,1\}//p' "$0"
  exit "$1"
}

units() {
  cargo test --locked --workspace
  cargo test --locked --manifest-path livefs/Cargo.toml
}

# Builds what is missing, then boots it.
boots() {
  for recipe in dbcolinux quick containers debian upstream redis http; do
    cargo run --locked --release --quiet -- test --locked "recipes/$recipe.yaml"
  done
}

# Names what each cut came to.
cuts() {
  cargo run --locked --release --quiet -- test --locked --set "cuts=$1" recipes/cuts.yaml
}

machines() {
  if [ -z "${DBCO_TEST_KERNEL:-}" ]; then
    cargo run --locked --release --quiet -- build --locked recipes/quick.yaml
    export DBCO_TEST_KERNEL=$PWD/out/quick/bzImage
  fi
  cargo test --locked --test boot_machines -- --ignored
}

debug() {
  cargo run --locked --release --quiet -- test --locked recipes/debug.yaml
}

case "${1:-all}" in
  # Not joined by &&: that would let the first failure in each pass (`set -e` does not act there).
  all)
    units
    boots
    # A few of them; the whole tier is for those who change what writes to disks.
    cuts 2
    ;;
  quick) units ;;
  cuts) cuts "${2:-20}" ;;
  machines) machines ;;
  debug) debug ;;
  -h | --help) usage 0 ;;
  *) usage 2 >&2 ;;
esac
