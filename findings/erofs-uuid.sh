#!/usr/bin/env bash
# An erofs file system with SOURCE_DATE_EPOCH set: mkfs.erofs (erofs-utils 1.5, bookworm) heeds it for the time of the file system and for
# files that are newer, and still chooses a random UUID. So two runs over the same folder differ in the 16 bytes of the UUID and the 4 of
# the superblock's checksum; with -U they are the same.
#
# Expected beforehand: nothing differs. Needs apt with bookworm. Ends with 1 when this changes.
set -euo pipefail
export LC_ALL=C TZ=UTC SOURCE_DATE_EPOCH=1000000000
PACKAGES=(erofs-utils=1.5-1)
UUID=11111111-2222-4333-8444-555555555555

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get -qq download "${PACKAGES[@]}" 2> /dev/null
for package in *.deb; do dpkg-deb -x "$package" root; done
export PATH=$work/root/usr/bin:$PATH
echo "${PACKAGES[*]}"

changed=0
expect() { # WHAT EXPECTED SEEN
  echo "$1: $3"
  [ "$2" = "$3" ] || { echo "  changed: it was $2"; changed=1; }
}

mkdir folder
echo x > folder/new
echo x > folder/old
touch -d 1999-01-01 folder/old
date_of() { dump.erofs --path="/$1" one | grep -o 'Timestamp: [0-9-]*' | cut -d' ' -f2; }
for image in one two; do mkfs.erofs $image folder > /dev/null; done
for image in three four; do mkfs.erofs -U $UUID $image folder > /dev/null; done
# A random byte equals another one now and then.
expect 'without -U: more than 12 bytes differ' yes "$([ "$(cmp -l one two | wc -l)" -gt 12 ] && echo yes || echo no)"
expect 'without -U: bytes that differ behind the superblock' 0 "$(cmp -l one two | awk '$1 > 1024 + 128' | wc -l)"
expect 'with -U: bytes that differ' 0 "$(cmp -l three four | wc -l)"
expect 'the time of an old file' 1999-01-01 "$(date_of old)"
expect 'the time of a new file' 2001-09-09 "$(date_of new)"
exit $changed
