#!/usr/bin/env bash
# An initramfs may be several pieces in a row, each compressed or not (Documentation/driver-api/early-userspace/buffer-format.rst of
# Linux); the kernel unpacks all. lsinitramfs of initramfs-tools 0.142 (bookworm) steps over uncompressed pieces at the start, and ends
# with the first one that is compressed: what comes behind is not listed, and the status is 0. Where the pieces are joined by
# padding it lists nothing at all of gzip's, with "premature end of archive" and status 2. unmkinitramfs, which does the reading, is alike.
#
# Expected beforehand: the files of all pieces, or an error. Needs apt with bookworm, cpio, gzip, zstd. Ends with 1 when this changes.
set -euo pipefail
export LC_ALL=C
PACKAGES=(initramfs-tools-core=0.142+deb12u3)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get -qq download "${PACKAGES[@]}" 2> /dev/null
dpkg-deb -x initramfs-tools-core_*.deb root
export PATH=$work/root/usr/bin:$PATH
echo "${PACKAGES[*]}"

for name in one two; do
  mkdir $name
  : > $name/$name
  (cd $name && echo $name | cpio -o -H newc --quiet) > $name.cpio
  gzip -k $name.cpio
  zstd -q $name.cpio
done
head -c 3 /dev/zero > padding

changed=0
seen() { # EXPECTED PIECE...
  local expected=$1 got status=0
  shift
  cat "$@" > image
  got=$(lsinitramfs image 2> errors | tr '\n' ' ') || status=$?
  echo "$*: ${got}status $status, $(tr '\n' ' ' < errors)"
  [ "$got" = "$expected" ] || { echo "  changed: it was $expected"; changed=1; }
}
seen 'one two ' one.cpio two.cpio.zst
seen 'one ' one.cpio.zst two.cpio.zst
seen 'one ' one.cpio.gz two.cpio.gz
seen 'one ' one.cpio.gz two.cpio.zst
seen '' one.cpio.gz padding two.cpio.gz
exit $changed
