#!/usr/bin/env bash
# What editors and shells make of dbco's documents, by the programs that people have:
#
#   - The YAML language server (npm's `yaml-language-server`, behind the YAML support of most editors) reads docs/schema and
#     all shipped files: no errors there, errors for mistakes, completion and hover.
#   - bash, zsh and fish read their completions, and man(1) the manual pages.
#
# Needs node (18 or newer), npm with a registry, zsh, fish and man-db. Usage: ci/editors.sh DBCO
set -euo pipefail
cd "$(dirname "$0")/.."
dbco=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for tool in node npm bash zsh fish man; do
  command -v "$tool" > /dev/null || { echo "error: $tool is missing (Debian packages: nodejs npm zsh fish man-db)" >&2 && exit 1; }
done

echo "== schemas"
for kind in recipe component toolchain config vulnerabilities; do
  "$dbco" schema "$kind" > "$work/schema.json"
  cmp "$work/schema.json" "docs/schema/$kind.json"
done

echo '== the YAML language server'
cp ci/editors/package.json ci/editors/package-lock.json "$work/"
(cd "$work" && npm ci --silent --no-audit --no-fund --ignore-scripts)
timeout 300 node ci/editors/client.mjs "$work/node_modules/yaml-language-server/bin/yaml-language-server" "$PWD"

echo '== completions'
for shell in bash zsh fish; do
  "$dbco" completions "$shell" > "$work/completions.$shell"
done
# shellcheck disable=SC2016
bash -c 'source "$1"; COMP_WORDS=(dbco cache ver) COMP_CWORD=2; _dbco dbco ver cache; [ "${COMPREPLY[*]}" = verify ]' \
  bash "$work/completions.bash"
zsh -n "$work/completions.zsh"
mkdir "$work/functions"
cp "$work/completions.zsh" "$work/functions/_dbco"
HOME=$work zsh -f -c 'fpath=($1 $fpath); autoload -Uz compinit; compinit -u -D; [ "$_comps[dbco]" = _dbco ]' zsh "$work/functions"
fish --no-config -c "source $work/completions.fish; complete -C 'dbco cache ver'" | grep -q '^verify'
fish --no-config -c "source $work/completions.fish; complete -C 'dbco che'" | grep -q '^check'

echo '== manual pages'
"$dbco" man "$work/pages"
for page in "$work/pages"/*.1; do
  said=$(MANWIDTH=100 MANROFFOPT=-ww man --warnings -E UTF-8 -l "$page" 2>&1 > "$work/page")
  [ -z "$said" ] || { echo "$page: $said" >&2 && exit 1; }
done
MANWIDTH=100 man -E UTF-8 -l "$work/pages/dbco-build.1" | col -b | grep -q -- '--offline'
ls "$work/pages" | wc -l
