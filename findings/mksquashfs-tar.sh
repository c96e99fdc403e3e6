#!/usr/bin/env bash
# mksquashfs -tar (squashfs-tools 4.5.1, bookworm) reads a tar stream otherwise than tar does:
#
#   1. A sparse file of one hole and then data up to its end is refused as "truncated or corrupted" in the formats oldgnu,
#      PAX 0.0 and PAX 0.1, in which the map of the file precedes it in headers. PAX 1.0 is read, and so is the same file
#      with a second segment or with the hole at the end.
#   2. Of two members with one name it keeps the first and ends with status 0. `tar -x` leaves the last.
#   3. The member `./` is ignored, so that the root folder has mode 777 whatever the archive states (-root-mode helps).
#
# Expected beforehand: the same tree as from `tar -x`. Needs apt with bookworm, tar, python3. Ends with 1 when this changes.
set -euo pipefail
export LC_ALL=C
PACKAGES=(squashfs-tools=1:4.5.1-1 liblzo2-2=2.10-2)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get -qq download "${PACKAGES[@]}" 2> /dev/null
for package in *.deb; do dpkg-deb -x "$package" root; done
export PATH=$work/root/usr/bin:$PATH LD_LIBRARY_PATH=$work/root/usr/lib/x86_64-linux-gnu
mksquashfs -version | head -n 1

changed=0
expect() { # WHAT EXPECTED SEEN
  echo "$1: $3"
  [ "$2" = "$3" ] || { echo "  changed: it was $2"; changed=1; }
}
pack() { # TAR -> pack.sqfs; the status
  rm -f pack.sqfs
  local status=0
  mksquashfs - pack.sqfs -tar -quiet -no-progress < "$1" > log 2>&1 || status=$?
  echo "$status"
}

mkdir tree
truncate -s 1M tree/hole-data
printf x >> tree/hole-data
printf x > tree/data-hole
truncate -s 1M tree/data-hole
truncate -s 1M tree/two
printf x >> tree/two
truncate -s 2M tree/two
printf x >> tree/two
for file in hole-data data-hole two; do
  for format in gnu 'pax --sparse-version=0.0' 'pax --sparse-version=0.1' 'pax --sparse-version=1.0'; do
    # shellcheck disable=SC2086
    tar --format=$format --sparse -C tree -cf one.tar $file
    right=0
    case "$file $format" in "hole-data gnu" | "hole-data "*=0.?) right=1 ;; esac
    expect "sparse, $file, $format: status" $right "$(pack one.tar)"
  done
done

mkdir twice
printf first > twice/name
tar -C twice -cf twice.tar name
printf last > twice/name
tar -C twice -rf twice.tar name
expect 'two members of one name: status' 0 "$(pack twice.tar)"
expect 'two members of one name: content' first "$(unsquashfs -cat pack.sqfs name)"

chmod 700 twice
tar -C twice -cf root.tar .
expect 'member ./ of mode 700: status' 0 "$(pack root.tar)"
expect 'member ./ of mode 700: the root is' drwxrwxrwx "$(unsquashfs -lln pack.sqfs | awk '/squashfs-root$/ { print $1 }')"
exit $changed
