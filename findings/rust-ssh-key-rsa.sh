#!/usr/bin/env bash
# The Rust crate ssh-key 0.6.7 can't make a signature with a key of RSA: it builds the private key of the crate rsa from the first
# prime twice, and signing ends with "cryptographic error" for every key. Signatures that ssh-keygen made with the same key are
# verified.
#
# Expected beforehand: a signature that `ssh-keygen -Y verify` accepts, as with a key of ed25519. Needs cargo, a C linker,
# ssh-keygen, crates.io's registry. Ends with 1 when this changes.
set -euo pipefail
export LC_ALL=C
CRATE=ssh-key@=0.6.7

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cargo -q init --vcs none --name probe .
cargo -q add "$CRATE" --no-default-features --features std,ed25519,rsa
cat > src/main.rs << 'END'
use ssh_key::{HashAlg, PrivateKey, SshSig};
fn main() {
    let key = PrivateKey::from_openssh(std::fs::read(std::env::args().nth(1).unwrap()).unwrap()).unwrap();
    let signed = key.sign("file", HashAlg::Sha512, b"x\n");
    let theirs = SshSig::from_pem(std::fs::read("message.sig").unwrap()).unwrap();
    let verified = key.public_key().verify("file", b"x\n", &theirs);
    println!("{}, {}", signed.map_or_else(|e| e.to_string(), |_| "signs".into()), verified.map_or("rejects", |_| "verifies"));
}
END
cargo -q build
echo "$CRATE, $(ssh -V 2>&1)"

changed=0
echo x > message
seen() { # EXPECTED KEY-ARGUMENTS...
  local expected=$1 got
  shift
  rm -f key key.pub message.sig
  ssh-keygen -q -N '' -f key "$@"
  ssh-keygen -q -Y sign -n file -f key message 2> /dev/null
  got=$(target/debug/probe key)
  echo "$*: $got"
  [ "$got" = "$expected" ] || { echo "  changed: it was $expected"; changed=1; }
}
seen 'signs, verifies' -t ed25519
seen 'cryptographic error, verifies' -t rsa -b 2048
seen 'cryptographic error, verifies' -t rsa -b 4096
exit $changed
