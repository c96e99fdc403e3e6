#!/usr/bin/env bash
# Two Python libraries for SARIF 2.1.0 are made from a schema of 2019, before the OASIS Standard, which renamed `state` of a
# suppression to `status` (section 3.35.3):
#
#   1. pydantic-sarif 0.1.1, which says 2.1.0 in its class's name, rejects a document of the standard with a `status`, and accepts `state`.
#   2. sarif-om 1.0.4, the object model of Microsoft's samples, has no `status` to set, and writes `state`.
# So a tool that writes what the standard says is refused by one, and one that writes through the other is refused by the standard's
# schema. Without the property, which means accepted, both agree.
#
# Expected beforehand: both know `status`, and neither `state`, as the version of the format is the same.
# Needs Python 3.11, PyPI. Ends with 1 when this changes.
set -euo pipefail
export LC_ALL=C
PACKAGES=(pydantic-sarif==0.1.1 pydantic==2.14.4 sarif-om==1.0.4 attrs==26.1.0)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m pip install -q --no-warn-conflicts --disable-pip-version-check --root-user-action ignore --target python "${PACKAGES[@]}"
export PYTHONPATH=$work/python
echo "${PACKAGES[*]}"

changed=0
expect() { # WHAT EXPECTED SEEN
  echo "$1: $3"
  [ "$2" = "$3" ] || { echo "  changed: it was $2"; changed=1; }
}

cat > read.py << 'END'
import json, sys
from pydantic_sarif.model import StaticAnalysisResultsFormatSarifVersion210JsonSchema as Sarif
suppression = {"kind": "external", "justification": "a patch fixes it"}
if len(sys.argv) > 1:
    suppression[sys.argv[1]] = "accepted"
result = {"message": {"text": "x"}, "ruleId": "X", "suppressions": [suppression]}
document = {"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "x"}}, "results": [result]}]}
try:
    Sarif.model_validate_json(json.dumps(document))
    print("accepted")
except ValueError as error:
    print("rejected:", error.errors()[0]["msg"])
END
expect 'pydantic-sarif, without either' accepted "$(python3 read.py)"
expect 'pydantic-sarif, status' 'rejected: Extra inputs are not permitted' "$(python3 read.py status)"
expect 'pydantic-sarif, state' accepted "$(python3 read.py state)"
model() { python3 -c "import sarif_om; print(getattr(sarif_om.Suppression(kind='external', $1='accepted'), '$1'))" 2>&1 | tail -n 1; }
expect 'sarif-om, state' accepted "$(model state)"
expect 'sarif-om, status' "TypeError: Suppression.__init__() got an unexpected keyword argument 'status'" "$(model status)"
exit $changed
