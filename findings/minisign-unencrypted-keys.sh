#!/usr/bin/env bash
# The Rust crate minisign 0.10.0, by minisign's author, refuses a secret key without a passphrase that minisign 0.11 (bookworm)
# made (`minisign -G -W`) as "Corrupted key": the file has no checksum, and the crate compares it. A key with a passphrase
# is accepted. minisign accepts the crate's keys of both kinds.
#
# Expected beforehand: each accepts the other's keys. Needs cargo, a C linker, apt with bookworm, crates.io's registry. Ends
# with 1 when this changes.
set -euo pipefail
export LC_ALL=C
CRATE=minisign@=0.10.0
PACKAGES=(minisign=0.11-1)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get -qq download "${PACKAGES[@]}" 2> /dev/null
for package in *.deb; do dpkg-deb -x "$package" root; done
minisign=root/usr/bin/minisign
cargo -q init --vcs none --name probe .
cargo -q add "$CRATE"
cat > src/main.rs << 'END'
use minisign::{KeyPair, SecretKeyBox};
fn main() {
    let text = std::fs::read_to_string("theirs.key").unwrap();
    let read = SecretKeyBox::from_string(&text).unwrap().into_unencrypted_secret_key();
    println!("{}", read.map_or_else(|e| e.to_string(), |_| "accepted".into()));
    let own = KeyPair::generate_unencrypted_keypair().unwrap();
    std::fs::write("own.key", own.sk.to_box(None).unwrap().into_string()).unwrap();
}
END
cargo -q build
echo "$CRATE, $($minisign -v)"

changed=0
expect() { # WHAT EXPECTED SEEN
  echo "$1: $3"
  [ "$2" = "$3" ] || { echo "  changed: it was $2"; changed=1; }
}
$minisign -G -W -p theirs.pub -s theirs.key > /dev/null
expect "the crate, a key of minisign -G -W" 'Corrupted key' "$(target/debug/probe)"
expect 'the checksum of that key' "$(printf '0%.0s' {1..64})" "$(tail -n 1 theirs.key | base64 -d | tail -c 32 | od -An -v -tx1 | tr -d ' \n')"
echo x > message
signed=refused
if $minisign -S -W -s own.key -m message < /dev/null > /dev/null 2>&1; then signed=accepted; fi
expect "minisign, a key of the crate" accepted "$signed"
exit $changed
