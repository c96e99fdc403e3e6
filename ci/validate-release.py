#!/usr/bin/env python3
"""Validates the documents of a release with programs that others wrote: ci/validate-release.py DIR...

The versions that are expected are in ci/requirements-release.txt. Prints a line for each document; ends with 1 if
one is not accepted.
"""

import json
import sys
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement
from ntia_conformance_checker import SbomChecker
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

SHOWN = 10


def spdx(path):
    document = parse_file(str(path))
    messages = validate_full_spdx_document(document, "SPDX-2.3")
    return [f"{message.context.spdx_id}: {message.validation_message}" for message in messages]


def ntia(path):
    checker = SbomChecker(str(path), compliance="ntia")
    if checker.parsing_errors:
        return [str(checker.parsing_errors)]
    return [] if checker.compliant else [json.dumps(checker.output_json(), default=str)]


def cyclonedx(path):
    text = path.read_text(encoding="utf-8")
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    errors = [str(error)] if error else []
    # What the schema can't say: references lead to something, and none is there twice.
    document = json.loads(text)
    image = document["metadata"]["component"]
    parts = document["components"] + image["components"] + [image]
    references = [part["bom-ref"] for part in parts]
    errors += [f"{name} is there twice" for name in sorted(set(references)) if references.count(name) > 1]
    for dependency in document["dependencies"]:
        named = [dependency["ref"], *dependency["dependsOn"]]
        errors += [f"{name} does not exist" for name in named if name not in references]
    return errors


def in_toto(path):
    value = json.loads(path.read_text(encoding="utf-8"))
    # Unknown fields are errors.
    statement = json_format.ParseDict(value, statement_pb2.Statement())
    Statement.copy_from_pb(statement).validate()
    provenance = json_format.ParseDict(value["predicate"], provenance_pb2.Provenance())
    errors = []
    if statement.predicate_type != "https://slsa.dev/provenance/v1":
        errors.append(f"the predicate is {statement.predicate_type}")
    for field in ["build_type", "external_parameters", "resolved_dependencies"]:
        if not getattr(provenance.build_definition, field):
            errors.append(f"{field} is empty")
    if not provenance.run_details.builder.id:
        errors.append("the builder has no id")
    return errors


DOCUMENTS = [
    ("sbom.spdx.json", "spdx-tools", spdx),
    ("sbom.spdx.json", "ntia-conformance-checker", ntia),
    ("sbom.cdx.json", "cyclonedx-python-lib", cyclonedx),
    ("provenance.intoto.json", "in-toto-attestation", in_toto),
]


def main(folders):
    failed = False
    for folder in folders:
        for name, validator, validate in DOCUMENTS:
            path = Path(folder) / name
            if not path.exists():
                continue
            try:
                errors = validate(path)
            except Exception as error:  # A validator's own errors are of many types.
                errors = [f"{type(error).__name__}: {error}"]
            print(f"{path}: {validator}: {'accepted' if not errors else 'rejected'}")
            for error in errors[:SHOWN]:
                print(f"  {error}")
            failed = failed or bool(errors)
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1:]))
