#!/usr/bin/env bash
# The YAML parser saphyr-parser 0.3.4 rejects a plain text that ends in a space and a dash if it is the last thing before a comma or a
# bracket in flow style: `[a -]`. The rule of YAML 1.2.2, 7.3.3, that a dash needs a following character is about the first character of
# a text; PyYAML 6.0.2 and yaml of npm 2.8.0 read the text `a -`. Block style, and a dash in the middle (`[a - b]`), are read as expected.
#
# Expected beforehand: a list with the text `a -`. Needs cargo, a C linker, crates.io's registry, python3 with venv and npm with their
# registries. Ends with 1 when this changes.
set -euo pipefail
export LC_ALL=C
CRATE=saphyr-parser@=0.3.4

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv python
python/bin/pip install -q PyYAML==6.0.2
npm install --silent --no-audit --no-fund --prefix node yaml@2.8.0 > npm.log
cargo -q init --vcs none --name probe .
cargo -q add "$CRATE"
cat > src/main.rs << 'END'
use saphyr_parser::{Event, Parser};
fn main() {
    let text = std::env::args().nth(1).unwrap();
    for event in Parser::new_from_str(&text) {
        match event {
            Ok((Event::Scalar(text, ..), _)) => print!("<{text}>"),
            Ok(_) => {}
            Err(error) => return print!("rejected: {}", error.info()),
        }
    }
}
END
cargo -q build
echo "$CRATE, PyYAML 6.0.2, yaml 2.8.0 of npm"

changed=0
seen() { # TEXT EXPECTED
  local got
  got="$(target/debug/probe "$1"), $(python/bin/python -c 'import sys, yaml; print("".join(f"<{x}>" for x in yaml.safe_load(sys.argv[1])), end="")' "$1"), $(node -e 'console.log(require("./node/node_modules/yaml").parse(process.argv[1]).map(x => `<${x}>`).join(""))' -- "$1")"
  printf '%-12q %s\n' "$1" "$got"
  [ "$got" = "$2" ] || { echo "  changed: it was $2"; changed=1; }
}
wrong='rejected: plain scalar cannot start with '\''-'\'' followed by ,[]{}'
seen '[a -]' "$wrong, <a ->, <a ->"
seen '[a -, b]' "$wrong, <a -><b>, <a -><b>"
seen '[a - b]' '<a - b>, <a - b>, <a - b>'
seen '[a-]' '<a->, <a->, <a->'
seen '- a -' '<a ->, <a ->, <a ->'
exit $changed
