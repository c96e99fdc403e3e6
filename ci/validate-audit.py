#!/usr/bin/env python3
"""Reads what `dbco audit --cve` writes with libraries that others wrote: ci/validate-audit.py SARIF OPENVEX

Their versions are in ci/requirements-pipelines.txt. Ends with an error if a document is not accepted.
"""

import sys
from pathlib import Path

from pydantic_sarif.model import StaticAnalysisResultsFormatSarifVersion210JsonSchema as Sarif
from vexipy import Document

sarif, vex = (Path(path).read_text(encoding="utf-8") for path in sys.argv[1:])
print("SARIF:", len(Sarif.model_validate_json(sarif).runs[0].results), "results")
print("OpenVEX:", len(Document.from_json(vex).statements), "statements")
