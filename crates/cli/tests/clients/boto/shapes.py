"""Answers held against the shapes of the service's model: what botocore drops or lets pass silently is looked at before it does."""

import base64
import functools
import re

# Where an answer may be something else than the model says: the path, what of the shape does not hold, and for which values alone.
TOLERATED = [
    # The model's enumeration names kinds of groups; the service answers the groups themselves.
    (r"ListCoverageStatistics\.countsByGroup\[\d+\]\.groupKey", "enum", r".+"),
    # The model says 25 and 5, and admits requests for 100 and groups without number; the service answers as many.
    (r"ListFindings\.findings", "max", r".*"),
    (r"ListCoverageStatistics\.countsByGroup", "max", r".*"),
    # The model has no answer for an image that runs nowhere.
    (r"GetClustersForImage\.cluster", "min", r"\[\]"),
    # The model knows ids of clouds alone: not those of a machine, a file and a bill of materials that are in none.
    (r"ListCoverage\.coveredResources\[\d+\]\.resourceId", "pattern", r"host-[0-9a-f]{32}|sbom/.+|/.+"),
]


# Classes of characters of the model's language that Python has under other names, as they stand in a class.
CLASSES = [(r"[^\p{C}]", r"[^\x00-\x1f\x7f]"), (r"\p{L}\p{Z}\p{N}", r"\w\s"), (r"\p{L}\p{N}", r"\w"), (r"\p{L}", r"\w")]


@functools.cache
def pattern(text):
    for theirs, ours in CLASSES:
        text = text.replace(theirs, ours)
    assert r"\p" not in text, f"a class of characters that is not known here: {text}"
    return re.compile(text)


def violations(shape, value, path):
    """Everything in which a value of JSON is not what its shape says, as `(path, what, value)`."""
    found = []
    walk(shape, value, path, found)

    def is_tolerated(found):
        return any(re.fullmatch(where, found[0]) and what == found[1] and re.fullmatch(which, found[2]) for where, what, which in TOLERATED)

    return [violation for violation in found if not is_tolerated(violation)]


def walk(shape, value, path, found):
    def is_not(what, which=None):
        found.append((path, what, str(value if which is None else which)[:300]))

    kind = shape.type_name
    limits = shape.metadata
    if getattr(shape, "is_document_type", False):
        # Whatever JSON can say.
        return
    if kind == "structure":
        if not isinstance(value, dict):
            return is_not("type")
        union = getattr(shape, "is_tagged_union", False)
        if union and len(value) != 1:
            is_not("union")
        for name in shape.required_members:
            if value.get(name) is None:
                is_not("required", name)
        for name, inner in value.items():
            if name not in shape.members:
                is_not("unknown", name)
            elif inner is not None:
                walk(shape.members[name], inner, f"{path}.{name}", found)
    elif kind == "list":
        if not isinstance(value, list):
            return is_not("type")
        bounds(len(value), limits, is_not)
        for index, inner in enumerate(value):
            walk(shape.member, inner, f"{path}[{index}]", found)
    elif kind == "map":
        if not isinstance(value, dict):
            return is_not("type")
        bounds(len(value), limits, is_not)
        for name, inner in value.items():
            walk(shape.key, name, f"{path}.key", found)
            walk(shape.value, inner, f"{path}.{name}", found)
    elif kind == "string":
        if not isinstance(value, str):
            return is_not("type")
        bounds(len(value), limits, is_not)
        if shape.enum and value not in shape.enum:
            is_not("enum")
        if "pattern" in limits and not pattern(limits["pattern"]).fullmatch(value):
            is_not("pattern")
    elif kind in ("integer", "long"):
        if type(value) is not int:
            return is_not("type")
        bounds(value, limits, is_not)
    elif kind in ("double", "float"):
        if type(value) not in (int, float):
            return is_not("type")
        bounds(value, limits, is_not)
    elif kind == "timestamp":
        # Epoch seconds; the year 2000 to the year 2100, so that neither milliseconds nor strings pass.
        if type(value) not in (int, float) or not 946_684_800 <= value < 4_102_444_800:
            is_not("timestamp")
    elif kind == "boolean":
        if type(value) is not bool:
            is_not("type")
    elif kind == "blob":
        try:
            base64.b64decode(value, validate=True)
        except (TypeError, ValueError):
            is_not("blob")
    else:
        is_not("kind", kind)


def bounds(size, limits, is_not):
    if "min" in limits and size < limits["min"]:
        is_not("min")
    if "max" in limits and size > limits["max"]:
        is_not("max")
