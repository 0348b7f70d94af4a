"""A plugin in Python: a function from a record to its outputs, and the loop that every such plugin has."""

import json
import sys


def outputs(record):
    """The output columns of one record; a ValueError becomes the record's error."""
    words = record["name"].split()
    if not words:
        raise ValueError("the name is empty")
    weight = record["weight"]
    score = None if weight is None else round(weight * len(words), 3)
    return {"initials": "".join(word[0].upper() for word in words), "score": score}


def result(record):
    try:
        return {"id": record["id"], "ok": outputs(record)}
    except ValueError as problem:
        return {"id": record["id"], "error": str(problem)}


for line in sys.stdin:
    block = json.loads(line)
    print(json.dumps({"results": [result(record) for record in block["records"]]}), flush=True)
