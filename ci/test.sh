#!/usr/bin/env bash
# All tests. Installs nothing and needs no root: a program that is missing on this machine makes a test fail with a message
# (.ci/run lists the Debian packages).
#
#   ci/test.sh            unit and integration tests, then the boot tests that the shipped recipes declare
#   ci/test.sh quick      unit and integration tests only
#   ci/test.sh upstream   the containers' boot tests on a kernel without OpenVZ's series (recipes/upstream.yaml); builds that kernel,
#                         a quarter of an hour, run separately
#   ci/test.sh cuts [N]   the power cuts of recipes/cuts.yaml, N during each command (20); takes half an hour, run separately
#   ci/test.sh validators
#                         third-party validators read releases' documents, audits, recipes by their schemas and the pipelines of ci/. $DBCO_VALIDATORS is a folder of
#                         virtual environments, `release` and `pipelines`, with the packages of ci/requirements-NAME.txt
#   ci/test.sh editors    the YAML language server of npm, bash, zsh, fish and man(1) read the schemas, completions and manual pages
#                         (ci/editors.sh); needs node and npm with a registry, zsh, fish, man-db; a minute
#   ci/test.sh machines   the integration tests that boot machines with a third-party kernel: $DBCO_TEST_KERNEL,
#                         or otherwise the one built by recipes/quick.yaml; takes minutes, run separately
#   ci/test.sh debug      the containers' tests, 1,000 containers and ten minutes of race tests on a debug kernel
#                         (recipes/debug.yaml); builds that kernel and takes an hour, run separately
#   ci/test.sh next [...] the shipped recipes with the tools of Debian's newer suites (ci/next.sh), with new locks: a failure
#                         may be the suite's; an hour for each, run separately
#   ci/test.sh packages [N] [SEED]
#                         compares what dbco reads from N random packages of bookworm and N of trixie (500) with dpkg-deb
#                         (ci/packages.py); needs apt with a Debian mirror and Python, downloads some 300 MB, takes ten minutes
#   ci/test.sh suites     compares the packages that dbco and apt-get choose from several suites (ci/suites.sh); five minutes
#   ci/test.sh repro [RECIPE...]
#                         two builds of each recipe in different surroundings (dbco repro), with a report in out/repro/; by default of
#                         all shipped recipes, which takes some hours, as both begin with an empty store
#   ci/test.sh reprotest [RECIPE]
#                         the same by Debian's reprotest and diffoscope (ci/reprotest.sh names the packages that it needs), for quick
#                         unless told otherwise; five minutes
#   ci/test.sh hosts [...]
#                         a static dbco for x86-64 and one for arm64, each compiled twice; the former builds a recipe inside roots of
#                         other distributions (ci/hosts.sh): the same bytes; ten minutes for each program, some for each distribution
#   ci/test.sh inspect    compares what dbco reads from images that others made with what their own tools say (ci/inspect.sh);
#                         needs apt with a Debian mirror, Python, dracut-core, systemd-boot-efi and binutils, downloads 130 MB
#   ci/test.sh kconfig SOURCE...
#                         compares the configurations that dbco predicts with those that make makes, for the shipped kernels'
#                         fragments and for FRAGMENTS random ones (20), in each of these unpacked sources of a kernel, whose
#                         .config is replaced; needs make, gcc, flex, bison; some minutes for each
#   ci/test.sh fuzz [N]   each fuzz target of builder/fuzz for its share of N seconds (600), or with Nx for N executions;
#                         failing inputs go to out/fuzz/. Needs a C++ compiler (g++) and 3 GB for builder/fuzz/target
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  sed -n '2,/^set /s/^# \{0,1\}//p' "$0"
  exit "$1"
}

units() {
  cargo test --locked --workspace
  cargo test --locked --manifest-path livefs/Cargo.toml
}

# Builds what is missing, then boots it: all with one kernel, but for those of quick and services.
boots() {
  for recipe in dbcolinux quick services containers debian redis http; do
    booted "$recipe"
  done
}

booted() {
  cargo run --locked --release --quiet -- test --locked "recipes/$1.yaml"
}

# Prints the outcome of each cut.
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

validators() {
  if [ -z "${DBCO_VALIDATORS:-}" ]; then
    echo 'set DBCO_VALIDATORS to a folder. For each NAME of `release` and `pipelines`:' >&2
    echo '  python3 -m venv DIR/NAME && DIR/NAME/bin/pip install --no-deps --require-hashes -r ci/requirements-NAME.txt' >&2
    return 1
  fi
  cargo test --locked --test audit_cve --test keys --test pipelines --test release_validators -- --ignored
}

repro() {
  local recipe
  cargo build --locked --release --quiet
  if [ $# -eq 0 ]; then
    for recipe in recipes/*.yaml; do
      # Recipes with sources of suites that drop old versions are not in the repository's lock.
      if target/release/dbco check --locked "$recipe" > /dev/null 2>&1; then
        set -- "$@" "$recipe"
      else
        echo "not in dbco.lock: $recipe"
      fi
    done
  fi
  mkdir -p out/repro
  # One report, as the recipes share what they build.
  target/release/dbco repro --locked --html out/repro/report.html "$@"
}

# libFuzzer, with rustc's own LLVM: the flags are those of cargo-fuzz, without a sanitizer, which stable rustc lacks.
# --target keeps them from build scripts.
fuzz() {
  local host name most compares log failed=() targets=(builder/fuzz/targets/*.rs)
  host=$(rustc -vV | sed -n 's/^host: //p')
  # Tracing comparisons guides a short run to new inputs, and takes half of the time of a long one.
  compares=-Cllvm-args=-sanitizer-coverage-trace-compares
  case $1 in
    *x) most=-runs=${1%x} compares= ;;
    *) most=-max_total_time=$((($1 + ${#targets[@]} - 1) / ${#targets[@]})) ;;
  esac
  RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    $compares -Ccodegen-units=4" \
    cargo build --locked --release --manifest-path builder/fuzz/Cargo.toml --target "$host"
  # In memory, if there is such a folder: some targets write files.
  fuzzed=$(mktemp -d -p /dev/shm 2> /dev/null || mktemp -d)
  trap 'rm -rf "$fuzzed"' EXIT
  mkdir -p out/fuzz
  for name in "${targets[@]}"; do
    name=$(basename "$name" .rs)
    log=$fuzzed/log
    mkdir "$fuzzed/new" "$fuzzed/tmp"
    if TMPDIR=$fuzzed/tmp RUST_BACKTRACE=0 "builder/fuzz/target/$host/release/$name" "$most" -timeout=20 \
      -rss_limit_mb=1024 -max_len=8192 "-artifact_prefix=out/fuzz/$name-" "$fuzzed/new" "builder/fuzz/corpus/$name" \
      > "$log" 2>&1; then
      printf '%-12s %s\n' "$name" "$(sed -n 's/^Done //p' "$log")"
    else
      tail -n 40 "$log"
      failed+=("$name")
    fi
    rm -rf "$fuzzed/new" "$fuzzed/tmp"
  done
  [ ${#failed[@]} -eq 0 ] || {
    echo "failed: ${failed[*]}; the inputs are in out/fuzz/"
    return 1
  }
}

case "${1:-all}" in
  # Not joined by &&: that would ignore the first failure in each iteration (`set -e` has no effect there).
  all)
    units
    boots
    # A few of them; the whole tier is for changes to code that writes to disks.
    cuts 2
    ;;
  quick) units ;;
  cuts) cuts "${2:-20}" ;;
  machines) machines ;;
  validators) validators ;;
  debug | upstream) booted "$1" ;;
  next) ci/next.sh "${@:2}" ;;
  packages)
    cargo build --locked --release --quiet --example deb_tree
    ci/packages.py target/release/examples/deb_tree "${@:2}"
    ;;
  suites) ci/suites.sh "${@:2}" ;;
  editors)
    cargo build --locked --release --quiet
    ci/editors.sh target/release/dbco
    ;;
  hosts) ci/hosts.sh "${@:2}" ;;
  repro) repro "${@:2}" ;;
  reprotest)
    cargo build --locked --release --quiet
    ci/reprotest.sh "${@:2}"
    ;;
  inspect)
    cargo run --locked --release --quiet -- build --locked recipes/quick.yaml
    ci/inspect.sh target/release/dbco out/quick/quick.iso
    ;;
  kconfig)
    [ $# -gt 1 ] || usage 2 >&2
    kernels=$(realpath -e "${@:2}" | paste -sd:)
    DBCO_KERNELS=$kernels cargo test --locked --release -p dbco --test kconfig_conf -- --ignored --nocapture
    ;;
  fuzz) fuzz "${2:-600}" ;;
  -h | --help) usage 0 ;;
  *) usage 2 >&2 ;;
esac
