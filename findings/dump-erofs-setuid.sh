#!/usr/bin/env bash
# `dump.erofs --path` of erofs-utils 1.5 (bookworm) shows a file's permissions as "Access: 0755/…": the set-user-ID, set-group-ID and sticky
# bits are in the image's inode, but are not shown. A comparison of modes by this tool misses them.
#
# Expected beforehand: 4755. Needs apt with bookworm, python3. Ends with 1 when this changes.
set -euo pipefail
export LC_ALL=C
PACKAGES=(erofs-utils=1.5-1)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get -qq download "${PACKAGES[@]}" 2> /dev/null
dpkg-deb -x erofs-utils_*.deb root
export PATH=$work/root/usr/bin:$PATH
echo "${PACKAGES[*]}"

mkdir files
: > files/suid
: > files/plain
chmod 4755 files/suid
chmod 0755 files/plain
mkfs.erofs --quiet image files > mkfs.log 2>&1

changed=0
for name in suid plain; do
  shown=$(dump.erofs "--path=/$name" image | sed -n 's/.*Access: \([0-7]*\).*/\1/p')
  echo "$name, stored with $(stat -c %a "files/$name"): shown as $shown"
  [ "$shown" = 0755 ] || changed=1
done
# The bits are in the image: i_mode is the 16-bit number at offset 4 of the inode, which is at meta_blkaddr blocks and 32 bytes for each NID.
stored=$(python3 - "$(dump.erofs --path=/suid image | sed -n 's/.*NID: \([0-9]*\).*/\1/p')" << 'END'
import struct, sys
image = open("image", "rb").read()
block = 1 << image[1024 + 12]
start, = struct.unpack_from("<I", image, 1024 + 40)
mode, = struct.unpack_from("<H", image, start * block + 32 * int(sys.argv[1]) + 4)
print("%o" % mode)
END
)
echo "suid, in its inode: $stored"
[ "$stored" = 104755 ] || changed=1
exit $changed
