#!/usr/bin/env bash
# The Rust crate tar 0.4.46 reads GNU tar's sparse files in the old GNU format only. One in a PAX archive (`tar --format=pax -S`,
# formats 0.0, 0.1 and 1.0) comes out, without an error, as a regular file of only the data between the holes, in 1.0 with
# the map of the file before it, and in 0.1 and 1.0 under the placeholder name `./GNUSparseFile.PID/NAME`.
#
# Expected beforehand: the file as it was, or an error. Needs cargo, a C linker, GNU tar, crates.io's registry.
# Ends with 1 when this changes.
set -euo pipefail
export LC_ALL=C
CRATE=tar@=0.4.46

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cargo -q init --vcs none --name probe .
cargo -q add "$CRATE"
cat > src/main.rs << 'END'
use std::io::Read;
fn main() {
    let file = std::fs::File::open(std::env::args().nth(1).unwrap()).unwrap();
    for entry in tar::Archive::new(file).entries().unwrap() {
        let mut entry = entry.unwrap();
        let (path, mut bytes) = (entry.path().unwrap().display().to_string(), Vec::new());
        let outcome = entry.read_to_end(&mut bytes).map_or("error", |_| "read");
        println!("{outcome} {path} {}", bytes.len());
    }
}
END
cargo -q build
echo "$CRATE, $(tar --version | head -n 1)"

changed=0
truncate -s 1M file
printf x >> file
truncate -s 3M file
printf x >> file
seen() { # FORMAT EXPECTED
  local got
  # shellcheck disable=SC2086
  tar --format=$1 --sparse -cf one.tar file
  got=$(target/debug/probe one.tar | sed 's/GNUSparseFile\.[0-9]*/GNUSparseFile.PID/')
  echo "$1: $got"
  [ "$got" = "$2" ] || { echo "  changed: it was $2"; changed=1; }
}
seen gnu 'read file 3145729'
seen 'pax --sparse-version=0.0' 'read file 4097'
seen 'pax --sparse-version=0.1' 'read ./GNUSparseFile.PID/file 4097'
seen 'pax --sparse-version=1.0' 'read ./GNUSparseFile.PID/file 4609'
exit $changed
