"""The plugin {{name}}: a function from a record to its outputs, and the loop that answers line by line."""

import json
import sys


def outputs(record):
    """The output columns of one record. A ValueError becomes the record's error."""
    name = record["name"]
    return {"shouted": name.upper(), "letters": len(name)}


def result(record):
    try:
        return {"id": record["id"], "ok": outputs(record)}
    except ValueError as problem:
        return {"id": record["id"], "error": str(problem)}


# With [data] in plugin.toml the first line is {"open": {"tables": {"people": "/path/people.csv"}}}: read the table, then
# answer {"opened": true}, or {"error": "why"}.
for line in sys.stdin:
    block = json.loads(line)
    print(json.dumps({"results": [result(record) for record in block["records"]]}), flush=True)
