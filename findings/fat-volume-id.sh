#!/usr/bin/env bash
# The volume id of a FAT file system with SOURCE_DATE_EPOCH set: mkfs.vfat (dosfstools 4.2, bookworm) and mformat (mtools
# 4.0.32, bookworm) both ignore it; the first takes the id from the clock, the second from a random number. mcopy of the
# same mtools does heed it for the times of files. So an image for UEFI that is made by both differs in four bytes from
# run to run (`mkfs.vfat -i` and `mformat -N` state the id).
#
# Expected beforehand: all three heed it. Needs apt with bookworm. Ends with 1 when this changes.
set -euo pipefail
export LC_ALL=C SOURCE_DATE_EPOCH=1000000000
PACKAGES=(dosfstools=4.2-1 mtools=4.0.33-1+really4.0.32-1)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get -qq download "${PACKAGES[@]}" 2> /dev/null
for package in *.deb; do dpkg-deb -x "$package" root; done
export PATH=$work/root/sbin:$work/root/usr/sbin:$work/root/usr/bin:$PATH
mformat --version | head -n 1

changed=0
expect() { # WHAT EXPECTED SEEN
  echo "$1: $3"
  [ "$2" = "$3" ] || { echo "  changed: it was $2"; changed=1; }
}
id() { od -An -tx1 -j39 -N4 "$1" | tr -d ' '; }

truncate -s 1440K one two three four
mkfs.vfat one
mformat -i three -f 1440 ::
begin=$(date +%s)
while [ "$(date +%s)" = "$begin" ]; do :; done
mkfs.vfat two > /dev/null
mformat -i four -f 1440 ::
echo "mkfs.vfat $(id one) $(id two), mformat $(id three) $(id four)"
expect 'mkfs.vfat twice: ids' differ "$([ "$(id one)" = "$(id two)" ] && echo same || echo differ)"
expect 'mformat twice: ids' differ "$([ "$(id three)" = "$(id four)" ] && echo same || echo differ)"
echo x > file
TZ=UTC mcopy -i three file ::file
expect 'mcopy: the year of a file' 2001 "$(TZ=UTC mdir -i three ::file | grep -o '[0-9]\{4\}-[0-9-]*' | cut -d- -f1)"
exit $changed
