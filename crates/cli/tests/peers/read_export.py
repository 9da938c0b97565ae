"""Reads what `raincoat audit export` wrote, with readers written by others:
python read_export.py FORMAT FILE [SCHEMA]

`jsonl` with `jsonschema` and our SCHEMA, `ocsf` with `ocsf-json-schema`, `cef` with `pycef`, `otlp` with the official
messages of `opentelemetry-proto`. Prints one JSON object for each entry; ends with 1 and says why where one is not as
it should be.
"""

import json
import sys
from collections import Counter


def jsonl(lines, schema):
    from jsonschema import Draft202012Validator

    schema = json.load(open(schema, encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    checks = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    for line in lines:
        entry = json.loads(line)
        yield entry, [error.message for error in checks.iter_errors(entry)]


def ocsf(lines, _):
    from jsonschema import Draft202012Validator
    from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

    schemas, checks = {}, {}
    for line in lines:
        event = json.loads(line)
        metadata = event["metadata"]
        version = metadata["version"]
        if version not in schemas:
            schemas[version] = OcsfJsonSchemaEmbedded(get_ocsf_schema(version))
        schema = schemas[version]
        key = (version, event["class_uid"], tuple(sorted(metadata["profiles"])))
        if key not in checks:
            name = schema.lookup_class_name_from_uid(event["class_uid"])
            checks[key] = Draft202012Validator(schema.get_class_schema(name, list(key[2])))
        errors = [f"{error.json_path}: {error.message[:300]}" for error in checks[key].iter_errors(event)]
        yield event, errors


def cef(lines, _):
    import pycef

    for line in lines:
        entry = pycef.parse(line)
        yield entry, [] if entry else ["pycef cannot read it"]


def value_of(any_value):
    kind = any_value.WhichOneof("value")
    value = getattr(any_value, kind)
    return [value_of(one) for one in value.values] if kind == "array_value" else value


def records_of(body):
    """The log records of a request, decoded by the official messages; what these do not know is an error."""
    from google.protobuf import json_format
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

    # The one difference of OTLP's JSON to protobuf's own: ids are in hex, not in base64.
    request = json.loads(body)
    ids = []
    for resource in request["resourceLogs"]:
        for scope in resource["scopeLogs"]:
            for record in scope["logRecords"]:
                ids.append(bytes.fromhex(record.pop("traceId", "")))
    request = json_format.ParseDict(request, ExportLogsServiceRequest())
    # What was read is what its binary form carries.
    request = ExportLogsServiceRequest.FromString(request.SerializeToString())
    for resource in request.resource_logs:
        about = {one.key: value_of(one.value) for one in resource.resource.attributes}
        for scope in resource.scope_logs:
            for record in scope.log_records:
                yield {
                    "at": record.time_unix_nano,
                    "severity": record.severity_number,
                    "event": record.event_name,
                    "message": value_of(record.body),
                    "trace": ids.pop(0).hex(),
                    "attributes": {one.key: value_of(one.value) for one in record.attributes},
                    "service": about["service.name"],
                }, []


def otlp(lines, _):
    for line in lines:
        yield from records_of(line)


def main(form, path, schema=None):
    lines = open(path, encoding="utf-8").read().splitlines()
    wrong = Counter()
    for entry, errors in {"jsonl": jsonl, "ocsf": ocsf, "cef": cef, "otlp": otlp}[form](lines, schema):
        print(json.dumps(entry))
        kind = (entry or {}).get("kind") or (entry or {}).get("metadata", {}).get("event_code")
        wrong.update((kind, error) for error in errors)
    for (kind, error), times in wrong.most_common(40):
        print(f"{kind}, {times} times: {error}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
