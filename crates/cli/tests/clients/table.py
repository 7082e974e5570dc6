"""The table of requests that all clients send, `requests.json`, and how it is read.

`{name}` in a text stands for what the seeded server has (`facts`) or what an earlier answer held (`keep`).
"""

import json
import os
import re
from pathlib import Path


def facts():
    """What the seeded server is and holds."""
    return json.loads(Path(os.environ["LESTRADE_FACTS"]).read_text())


def rows():
    return json.loads((Path(__file__).parent / "requests.json").read_text())


def filled(value, known):
    """A value of the table with its names replaced."""
    if isinstance(value, dict):
        return {name: filled(inner, known) for name, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, known) for inner in value]
    return re.sub(r"\{(\w+)\}", lambda name: known[name[1]], value) if isinstance(value, str) else value


def keep(row, answer, known):
    """Remembers what later requests of the table name."""
    for name, path in row.get("keep", {}).items():
        value = answer
        for step in path.split("."):
            value = value[int(step)] if step.isdigit() else value[step]
        known[name] = value
