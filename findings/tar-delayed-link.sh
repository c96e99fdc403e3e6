#!/usr/bin/env bash
# GNU tar 1.34 (bookworm) and two members of one name, the first of which is a link that leads out (`../x` or absolute). Without -P
# such a link is made last, in place of an empty file that stands for it. A later file of that name is lost: the link takes its
# place, with status 0. A later folder stays, with "Cannot unlink: Is a directory" and status 2. With -P the later member counts,
# as it does for links that stay inside, and for dbco in all cases.
#
# Expected beforehand: the later member counts, with and without -P. Needs apt with bookworm and Python. Ends with 1 when this changes.
set -euo pipefail
export LC_ALL=C
PACKAGES=(tar=1.34+dfsg-1.2+deb12u1)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get -qq download "${PACKAGES[@]}" 2> /dev/null
for package in *.deb; do dpkg-deb -x "$package" root; done
tar=$work/root/bin/tar
"$tar" --version | head -n 1

changed=0
expect() { # WHAT EXPECTED SEEN
  echo "$1: $3"
  [ "$2" = "$3" ] || { echo "  changed: it was $2"; changed=1; }
}
# seen TARGET KIND [OPTION]: what stands at `l` after a link to TARGET and a member of that kind, and tar's status.
seen() {
  python3 - "$1" "$2" << 'END'
import sys, tarfile
with tarfile.open("two.tar", "w") as archive:
    link = tarfile.TarInfo("l")
    link.type, link.linkname = tarfile.SYMTYPE, sys.argv[1]
    archive.addfile(link)
    later = tarfile.TarInfo("l")
    later.type = {"file": tarfile.REGTYPE, "folder": tarfile.DIRTYPE}[sys.argv[2]]
    archive.addfile(later)
END
  local status=0
  rm -rf out
  mkdir out
  "$tar" "${@:3}" -C out -xf two.tar 2> /dev/null || status=$?
  echo "$(stat -c %F out/l), $status"
}
for target in ../x /x; do
  expect "a file after a link to $target" 'symbolic link, 0' "$(seen $target file)"
  expect "a folder after a link to $target" 'directory, 2' "$(seen $target folder)"
  expect "a file after a link to $target, with -P" 'regular empty file, 0' "$(seen $target file -P)"
  expect "a folder after a link to $target, with -P" 'directory, 0' "$(seen $target folder -P)"
done
expect 'a file after a link to x' 'regular empty file, 0' "$(seen x file)"
exit $changed
