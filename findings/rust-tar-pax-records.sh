#!/usr/bin/env bash
# The Rust crate tar 0.4.46 takes the extended headers of a PAX archive for lines, though each record states its length. An extended
# attribute whose value has a line break, as a file capability may have, comes out as an error of `pax_extensions`; `unpack` with
# `set_unpack_xattrs(true)` leaves it out without an error. It sets attributes of regular files alone: those of a folder, such as
# the one by which an overlay hides what lies below it, are left out without an error, too.
#
# Expected beforehand: both attributes as they were, or an error. Needs cargo, a C linker, GNU tar, Python, a file system with `user.`
# attributes for temporary folders, crates.io's registry. Ends with 1 when this changes.
set -euo pipefail
export LC_ALL=C
CRATE=tar@=0.4.46

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cargo -q init --vcs none --name probe .
cargo -q add "$CRATE"
cat > src/main.rs << 'END'
fn main() {
    let open = || tar::Archive::new(std::fs::File::open("one.tar").unwrap());
    for entry in open().entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().display().to_string();
        let records = entry.pax_extensions().unwrap().into_iter().flatten();
        let broken = records.filter(|record| record.is_err()).count();
        println!("{path}: {broken} of its records can't be read");
    }
    let mut archive = open();
    archive.set_unpack_xattrs(true);
    println!("unpack: {}", if archive.unpack("again").is_ok() { "ok" } else { "an error" });
}
END
cargo -q build
echo "$CRATE, $(tar --version | head -n 1)"
mkdir -p tree/folder again
touch tree/plain tree/line
python3 - << 'END'
import os
for path, value in ("tree/plain", b"one"), ("tree/line", b"one\ntwo"), ("tree/folder", b"one"):
    os.setxattr(path, "user.note", value)
END
tar --format=pax --xattrs -C tree -cf one.tar plain line folder
seen=$(
  target/debug/probe
  python3 -c 'import os
for name in "plain", "line", "folder":
    print(name, "has", os.listxattr("again/" + name))'
)
echo "$seen"
expected="plain: 0 of its records can't be read
line: 2 of its records can't be read
folder/: 0 of its records can't be read
unpack: ok
plain has ['user.note']
line has []
folder has []"
[ "$seen" = "$expected" ] || {
  echo "this has changed"
  exit 1
}
