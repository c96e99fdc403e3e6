#!/usr/bin/env bash
# Compares what dbco reads from images that others made with what those images' own tools say: Debian's installer
# (netboot, from its package), initrds of initramfs-tools and dracut, a unified kernel image, and the files of
# recipes/quick.yaml. Needs root for nothing; apt with a Debian mirror, and dracut-core, initramfs-tools-core, systemd-boot-efi,
# binutils, cpio, xorriso, squashfs-tools, erofs-utils, e2fsprogs, mtools.
#
#   ci/inspect.sh DBCO [ISO]    ISO: one that dbco built (out/quick/quick.iso)
#   ONLY="netboot uki" ci/inspect.sh DBCO
set -euo pipefail
export LC_ALL=C.UTF-8 TZ=UTC
PATH=$PATH:/usr/sbin:/sbin
dbco=$(realpath "$1")
iso=$(realpath "${2:-out/quick/quick.iso}")
work=$(mktemp -d "${TMPDIR:-/tmp}/dbco-inspect.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"
passed=0

same() {
  local what=$1
  if ! diff "$2" "$3" > difference; then
    echo "error: $what: dbco and its own tool disagree:" >&2
    head -n 20 difference >&2
    exit 1
  fi
  printf '%-60s %s lines\n' "$what" "$(wc -l < "$2")"
  passed=$((passed + 1))
}

# Type and mode, owner, size or device, path and target: one line each, from dbco's JSON.
ours() {
  "$dbco" ls --json "$1" | python3 -c '
import json, sys
for line in sys.stdin:
    e = json.loads(line)
    if e["event"] != "entry" or not e["path"]: continue
    size = "%d,%d" % tuple(e["device"]) if "device" in e else e["size"] if e["type"] == "-" else 0
    print(e["type"], e["mode"], e["uid"], e["gid"], size, e["path"], e.get("target", ""))' | sort
}

# The same of a folder that another tool unpacked, by an unprivileged user: without owners and devices.
paths() {
  "$dbco" ls "$1" | grep -v '^\.$' | sort
}

# cpio -tvn: numeric owners. Names of netboot images have no spaces.
theirs_cpio() {
  cpio -itvn --quiet | python3 -c '
import sys
kinds = {"-": "-", "d": "d", "l": "l", "c": "c", "b": "b", "p": "p", "s": "s"}
def mode(text):
    value = 0
    for at, (r, w, x) in enumerate((text[1:4], text[4:7], text[7:10])):
        shift = 6 - 3 * at
        value |= ((r == "r") * 4 + (w == "w") * 2 + (x in "xst") * 1) << shift
        if x in "sStT": value |= (4 >> at) << 9
    return "%04o" % value
for line in sys.stdin:
    line = line.rstrip("\n").replace(", ", ",").replace(",  ", ",")
    words = line.split(None, 8)
    if "," in words[4] and not words[4].split(",")[1]:
        words = line.split(None, 9); words[4:6] = [words[4] + words[5]]
    permissions, _, uid, gid, size = words[:5]
    path, _, target = words[8].partition(" -> ")
    if path == ".": continue
    if permissions[0] not in "-cb": size = 0
    print(permissions[0], mode(permissions), uid, gid, size, path.removeprefix("./"), target)' | sort
}

# The installer's files, once.
installer() {
  [ ! -d net ] || return 0
  apt-get download -qq debian-installer-12-netboot-amd64
  dpkg-deb -x debian-installer-12-netboot-amd64_*.deb net
}

netboot() {
  installer
  local images=net/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64
  zcat "$images/initrd.gz" | theirs_cpio > theirs
  ours "$images/initrd.gz" > ours
  same "netboot initrd.gz: cpio -itvn" theirs ours
  cpio -it --quiet < <(zcat "$images/initrd.gz") | sed 's,^\./,,' | grep -v '^\.$' | sort > theirs
  paths "$images/initrd.gz" > ours
  same "netboot initrd.gz: cpio -it" theirs ours
  "$dbco" inspect --json "$images/linux" | python3 -c 'import json, sys; print(json.load(sys.stdin)["details"]["version"])' > ours
  file -b "$images/linux" | sed 's/.*version \(.*\), RO-rootFS.*/\1/' > theirs
  same "netboot linux: file(1)" theirs ours
  "$dbco" extract "$images/initrd.gz" -o extracted > /dev/null 2> left || grep -q 'device needs root' left
  mkdir unpacked
  (cd unpacked && zcat "$OLDPWD/$images/initrd.gz" | cpio -id --quiet --no-absolute-filenames 2> /dev/null || true)
  (cd unpacked && find . -type f -exec sha256sum {} + | sort -k 2) > theirs
  (cd extracted && find . -type f -exec sha256sum {} + | sort -k 2) > ours
  same "netboot initrd.gz: files as cpio -id unpacks them" theirs ours
}

initramfs_tools() {
  mkdir -p modules/lib/modules/6.1.0-none early/kernel/x86/microcode
  touch modules/lib/modules/6.1.0-none/modules.{order,builtin,dep}
  cp -r /etc/initramfs-tools conf
  echo 'MODULES=list' >> conf/initramfs.conf
  head -c 20000 /dev/zero > early/kernel/x86/microcode/GenuineIntel.bin
  (cd early && find . | cpio -o -H newc --quiet) > early.cpio
  # The real script, with the configuration of a kernel that is not installed.
  mkdir boot
  printf 'CONFIG_RD_%s=y\n' GZIP ZSTD XZ LZ4 BZIP2 LZMA > boot/config-6.1.0-none
  sed "s,/boot/config-,$PWD/boot/config-,g" /usr/sbin/mkinitramfs > mkinitramfs
  chmod +x mkinitramfs
  local compress
  for compress in gzip zstd xz lz4 bzip2 lzma; do
    sed -i "s/^COMPRESS=.*/COMPRESS=$compress/" conf/initramfs.conf
    ./mkinitramfs -d conf -o main.img 6.1.0-none 2> mkinitramfs.log || { cat mkinitramfs.log >&2; exit 1; }
    cat early.cpio main.img > initrd.img
    lsinitramfs initrd.img | sed 's,^\./,,' | grep -v '^\.$' | sort > theirs
    paths initrd.img > ours
    same "initramfs-tools, $compress, after microcode: lsinitramfs" theirs ours
  done
}

dracut_image() {
  dracut --quiet --no-kernel --no-hostonly --modules 'base' --compress zstd --force dracut.img 6.1.0-none 2> /dev/null
  lsinitrd dracut.img 2> /dev/null | sed -n '/^=====/,$p' | grep -E '^[-dlcb][-rwxst]{9}' | awk '{print $NF=="" ? $0 : $0}' |
    sed -E 's/^([-dlcbp])[^ ]* +[0-9]+ +[^ ]+ +[^ ]+ +[0-9, ]+ [A-Z][a-z]{2} +[0-9]+ +[0-9:]+ //; s/ -> .*//' | grep -v '^\.$' | sort > theirs
  paths dracut.img > ours
  same "dracut: lsinitrd" theirs ours
}

uki() {
  local stub=/usr/lib/systemd/boot/efi/linuxx64.efi.stub kernel
  installer
  kernel=net/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64
  echo -n 'root=/dev/none quiet' > cmdline
  cp "$kernel/linux" linux
  cp "$kernel/initrd.gz" initrd
  objcopy --add-section .cmdline=cmdline --change-section-vma .cmdline=0x30000 \
    --add-section .linux=linux --change-section-vma .linux=0x2000000 \
    --add-section .initrd=initrd --change-section-vma .initrd=0x6000000 "$stub" uki.efi
  local section
  for section in linux initrd cmdline; do
    sha256sum < "$section" > theirs
    "$dbco" cat "uki.efi//.$section" | sha256sum > ours
    same "unified kernel image: .$section" theirs ours
  done
  "$dbco" inspect --json uki.efi | python3 -c 'import json, sys; print(json.load(sys.stdin)["command_line"])' > ours
  (cat cmdline && echo) > theirs
  same "unified kernel image: command line" theirs ours
  zcat initrd | theirs_cpio > theirs
  ours uki.efi//.initrd// > ours
  same "unified kernel image: its initrd, cpio -itvn" theirs ours
}

our_iso() {
  xorriso -indev "$iso" -find / -exec report_lba 2> /dev/null | sed -n "s/^File data.*'\(.*\)'$/\1/p" | sed 's,^/,,' | sort -u > theirs
  "$dbco" ls --json "$iso" | python3 -c '
import json, sys
for line in sys.stdin:
    e = json.loads(line)
    if e["event"] == "entry" and e["type"] == "-" and not e["path"].startswith("@"): print(e["path"])' |
    grep -vx boot/grub/boot.cat | sort > ours # which xorriso does not count as a file
  same "quick.iso: files of xorriso" theirs ours
  "$dbco" cat "$iso//boot/initrd.img//livefs.squashfs" > livefs.squashfs
  unsquashfs -lln livefs.squashfs | tail -n +1 | python3 -c '
import re, sys
def mode(text):
    value = 0
    for at, (r, w, x) in enumerate((text[1:4], text[4:7], text[7:10])):
        value |= ((r == "r") * 4 + (w == "w") * 2 + (x in "xst") * 1) << (6 - 3 * at)
        if x in "sStT": value |= (4 >> at) << 9
    return "%04o" % value
for line in sys.stdin:
    m = re.match(r"([-dlcbps]\S{9}) (\d+)/(\d+)\s+(\d+(?:,\s*\d+)?) \S+ \S+ squashfs-root/?(.*)", line.rstrip("\n"))
    if not m or not m[5]: continue
    path, _, target = m[5].partition(" -> ")
    size = m[4].replace(" ", "") if m[1][0] in "-cb" else 0
    print(m[1][0], mode(m[1]), m[2], m[3], size, path, target)' | sort > theirs
  ours livefs.squashfs > ours
  same "quick.iso//boot/initrd.img//livefs.squashfs: unsquashfs -lln" theirs ours
  unsquashfs -q -n -d squash livefs.squashfs > /dev/null 2>&1 || true
  "$dbco" extract livefs.squashfs -o squash.ours > /dev/null 2>&1 || true
  (cd squash && find . -type f -exec sha256sum {} + | sort -k 2) > theirs
  (cd squash.ours && find . -type f -exec sha256sum {} + | sort -k 2) > ours
  same "the same: files as unsquashfs unpacks them" theirs ours
  "$dbco" cat "$iso//boot/grub/efi.img" > efi.img
  mdir -i efi.img -/ -b :: | sed 's,^::/,,; s,/$,,' | sort > theirs
  paths efi.img > ours
  same "quick.iso//boot/grub/efi.img: mdir" theirs ours
  mkfs.erofs --quiet -zlz4hc livefs.erofs squash > /dev/null 2>&1
  fsck.erofs --extract=erofs livefs.erofs > /dev/null 2>&1 || true
  "$dbco" extract livefs.erofs -o erofs.ours > /dev/null 2>&1 || true
  (cd squash && find . -type f -exec sha256sum {} + | sort -k 2) > theirs
  (cd erofs.ours && find . -type f -exec sha256sum {} + | sort -k 2) > ours
  same "the same as erofs, lz4hc: its files" theirs ours
  local path
  "$dbco" ls --json livefs.erofs | python3 -c '
import json, sys
for line in sys.stdin:
    e = json.loads(line)
    if e["event"] == "entry" and e["type"] == "-": print(e["path"], e["size"], "0" + e["mode"][1:], e["uid"], e["gid"])' | sort > ours
  # It shows permissions without the set-user-ID bit: findings/dump-erofs-setuid.sh.
  while read -r path _; do
    dump.erofs "--path=/$path" livefs.erofs | python3 -c '
import re, sys
text = sys.stdin.read()
print(sys.argv[1], re.search(r"Size: (\d+)", text)[1], re.search(r"Access: (\d+)/", text)[1], *re.search(r"Uid: (\d+)\s+Gid: (\d+)", text).groups())' "$path"
  done < ours | sort > theirs
  same "the same: dump.erofs of each file" theirs ours
  mke2fs -q -t ext4 -d squash livefs.ext4 64M
  debugfs -R 'ls -p -r /' livefs.ext4 > /dev/null 2>&1 || true
  find squash -mindepth 1 | sed 's,^squash/,,' | (cat && echo lost+found) | sort > theirs
  paths livefs.ext4 > ours
  same "the same as ext4: its paths" theirs ours
  while read -r path; do
    debugfs -R "stat \"/$path\"" livefs.ext4 2> /dev/null | python3 -c '
import re, sys
text = sys.stdin.read()
kind = {"regular": "-", "directory": "d", "symlink": "l", "character": "c", "block": "b", "FIFO": "p"}[re.search(r"Type: (\w+)", text)[1]]
print(kind, re.search(r"Mode:\s+(\d+)", text)[1], *re.search(r"User:\s+(\d+)\s+Group:\s+(\d+)", text).groups(), sys.argv[1])' "$path"
  done < ours | sort > theirs
  "$dbco" ls --json livefs.ext4 | python3 -c '
import json, sys
for line in sys.stdin:
    e = json.loads(line)
    if e["event"] == "entry" and e["path"]: print(e["type"], e["mode"], e["uid"], e["gid"], e["path"])' | sort > ours
  same "the same: debugfs stat of each path" theirs ours
}

# shellcheck disable=SC2086
for part in ${ONLY:-netboot initramfs_tools dracut_image uki our_iso}; do $part; done
echo "$passed passed"
