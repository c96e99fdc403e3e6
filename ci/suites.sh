#!/usr/bin/env bash
# Compares the packages that dbco chooses from several suites with those that apt-get would install from the same suites.
#
#   ci/suites.sh [FILE]   FILE has a set of packages on each line, as arguments for apt-get; default: the sets below
#
# apt-get simulates the installation in a separate root, without recommended packages. Names and versions must be the same.
# If they are not (apt 2.6.1 gives up on most `name/suite` whose dependencies need that suite, too), apt-get is given all
# packages that dbco chose, with their versions, and must install exactly those. Other sets are reported as wrong; the last line has the totals.
# Takes about five minutes. Run manually, as the archive changes.
# Needs a Debian with apt, whose sources name the mirrors; no root. Environment: DBCO (default target/release/dbco), DBCO_STORE, and
# RELEASE (bookworm), whose suites are RELEASE, RELEASE-security, RELEASE-updates and RELEASE-backports.
set -euo pipefail
export LC_ALL=C.UTF-8
file=${1:+$(realpath "$1")}
cd "$(dirname "$0")/.."
project=$PWD

release=${RELEASE:-bookworm}
suites=("$release" "$release-security" "$release-updates" "$release-backports")
dbco=$(realpath "${DBCO:-target/release/dbco}")
[ -x "$dbco" ] || {
  echo "error: no $dbco: run \`cargo build --release\`, or name one in DBCO" >&2
  exit 2
}
work=$(mktemp -d "${TMPDIR:-/var/tmp}/dbco-suites.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

default_sets() {
  sed "s/SUITE/$release/g" << 'END'
vim
openssh-server
python3 python3-pip
nginx
postgresql
gcc make gdb
curl ca-certificates
systemd systemd-sysv dbus
firefox-esr
git
qemu-system-x86
samba
apache2
openjdk-17-jre-headless
mariadb-server
exim4
ruby perl
network-manager
docker.io
libreoffice-writer
chromium
bind9 bind9-dnsutils
php-fpm php-mysql
linux-image-amd64
linux-image-amd64/SUITE-security
linux-image-amd64/SUITE-backports
cmake/SUITE-backports
systemd/SUITE-backports
curl/SUITE-backports
golang-go/SUITE-backports git
yt-dlp/SUITE-backports
meson/SUITE-backports ninja-build
openssl/SUITE
tmux/SUITE-backports
qemu-system-x86/SUITE-backports ovmf
tzdata/SUITE-updates
busybox-static/SUITE
END
}

# A root for apt, with the four suites and nothing installed.
aptroot=$work/apt
mkdir -p "$aptroot"/{etc/apt/preferences.d,var/lib/apt/lists/partial,var/cache/apt/archives/partial,var/lib/dpkg}
: > "$aptroot/var/lib/dpkg/status"
# shellcheck disable=SC2016
uri() {
  apt-get indextargets --format '$(REPO_URI)' | sort -u | grep -E "/$1/?\$" | head -n 1
}
main=$(uri debian) || { echo "error: apt names no mirror of debian here" >&2; exit 2; }
security=$(uri debian-security) || { echo "error: apt names no mirror of debian-security here" >&2; exit 2; }
keys='[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]'
for suite in "${suites[@]}"; do
  case $suite in *-security) from=$security ;; *) from=$main ;; esac
  echo "deb $keys $from $suite main"
done > "$aptroot/etc/apt/sources.list"
apt=(
  apt-get -o "Dir=$aptroot" -o "Dir::State::status=$aptroot/var/lib/dpkg/status" -o APT::Architecture=amd64
  -o APT::Architectures::=amd64 -o APT::Install-Recommends=false -o Acquire::Languages=none -o Debug::NoLocking=true
  -o "APT::Sandbox::User=$(id -un)"
)
"${apt[@]}" -qq update

by_apt() {
  "${apt[@]}" -s install "$@" | sed -n 's/^Inst \([^ ]*\) (\([^ ]*\) .*/\1=\2/p' | sort
}

# The lock's entry for a root filesystem with these packages.
by_dbco() {
  local packages suites_list
  packages=$(printf ', "%s"' "$@")
  suites_list=$(printf ', %s' "${suites[@]}")
  cat > "$work/set.yaml" << END
recipe: set
extends: $project/recipes/quick.yaml
rootfs:
  debian: [${suites_list:2}]
  packages: [${packages:2}]
END
  cp "$project/recipes/dbco.lock" "$work/dbco.lock"
  "$dbco" lock "$work/set.yaml" > "$work/log" 2>&1 || {
    # 1 is a set that can't be installed; an invalid recipe is an error of this script.
    local status=$?
    cat "$work/log" >&2
    [ $status -eq 1 ] || kill $$
    return 1
  }
  awk '/^- request:/ { own = 0 } /suite: '"$release-backports"'/ { own = 1 }
    own && /^  - name: / { name = $3 } own && /^    version: / { gsub(/"/, "", $2); print name "=" $2 }' "$work/dbco.lock" | sort
}

if [ -n "$file" ]; then cat "$file"; else default_sets; fi > "$work/sets"
same=0 accepted=0 refused=0 sets=0 packages=0
while read -r set; do
  read -ra words <<< "$set"
  sets=$((sets + 1))
  by_apt "${words[@]}" > "$work/apt.list" 2> "$work/apt.log" || : > "$work/apt.list"
  by_dbco "${words[@]}" > "$work/dbco.list" || : > "$work/dbco.list"
  count=$(wc -l < "$work/dbco.list")
  if [ ! -s "$work/apt.list" ] && [ ! -s "$work/dbco.list" ]; then
    refused=$((refused + 1))
    echo "refused by both: $set"
    continue
  elif cmp -s "$work/apt.list" "$work/dbco.list"; then
    same=$((same + 1)) packages=$((packages + count))
    echo "same: $set ($count)"
    continue
  fi
  mapfile -t stated < "$work/dbco.list"
  if [ "$count" -gt 0 ] && by_apt "${stated[@]}" > "$work/stated.list" && cmp -s "$work/stated.list" "$work/dbco.list"; then
    accepted=$((accepted + 1))
    if [ -s "$work/apt.list" ]; then how='chooses otherwise'; else how='refuses'; fi
    echo "accepted: $set ($count), which apt by itself $how"
    if [ -s "$work/apt.list" ]; then diff "$work/apt.list" "$work/dbco.list" | grep '^[<>]' | sed 's/^/  /' || true; fi
  else
    echo "WRONG: $set (apt <, dbco >)"
    diff "$work/apt.list" "$work/dbco.list" | grep '^[<>]' | sed 's/^/  /' || true
  fi
done < "$work/sets"
echo "of $sets sets $same are the same ($packages packages), $accepted are accepted, $refused are refused by both"
[ $((same + accepted + refused)) -eq "$sets" ]
