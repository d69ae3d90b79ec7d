"""Makes, from botocore's model and our manifest, inputs that fill every member which is not refused.

The manifest says of each member of each input structure whether it is acted on, kept, refused, or refused when a task runs (and so
kept before that). What it calls refused is left out, but for the values that it excepts.
"""

import json
import pathlib
import sys

import botocore.session

MODEL = pathlib.Path(__file__).resolve().parents[2] / "src" / "model"
MANIFEST = MODEL / "manifest"
sys.path.insert(0, str(MODEL / "generator"))
from manifest import Classes  # noqa: E402


class Service:
    def __init__(self, name):
        self.manifest = json.loads((MANIFEST / f"{name}.json").read_text())
        self.stated = Classes(self.manifest["members"])
        self.model = botocore.session.get_session().get_service_model(name)

    def operations(self):
        return [operation for group in self.manifest["operations"].values() for operation in group]

    def classes(self, shape):
        """member → (class, values that are taken although it is refused)."""
        found = {member: self.stated.find(shape.name, member) for member in shape.members}
        return {member: (entry[0], entry[2]) for member, entry in found.items() if entry}

    def fill(self, shape, hints, path=""):
        """A value with every member. `hints` maps the end of a path to a value, for what a shape alone does not tell."""
        hint = hint_for(hints, path)
        if hint is not None:
            return hint() if callable(hint) else hint
        if shape.type_name == "structure":
            return self._fill_structure(shape, hints, path)
        if shape.type_name == "list":
            return [self.fill(shape.member, hints, path + "[]")]
        if shape.type_name == "map":
            return {"key": self.fill(shape.value, hints, path + "{}")}
        if shape.type_name == "string":
            return shape.enum[0] if getattr(shape, "enum", None) else "text"
        if shape.type_name == "boolean":
            return True
        if shape.type_name in ("integer", "long"):
            return max(1, shape.metadata.get("min", 1))
        if shape.type_name in ("double", "float"):
            return 1.0
        if shape.type_name == "timestamp":
            return 1_700_000_000
        if shape.type_name == "blob":
            return b"text"
        raise AssertionError(f"{path}: what is a {shape.type_name}?")

    def _fill_structure(self, shape, hints, path):
        out = {}
        classes = self.classes(shape)
        for name, member in shape.members.items():
            kind, excepted = classes.get(name, ("unknown", []))
            assert kind != "unknown", f"{shape.name}.{name} has no class in the manifest"
            here = f"{path}.{name}"
            if hint_for(hints, here) is LEFT_OUT:
                continue
            if kind == "refused" and not excepted:
                continue
            if kind == "refused":
                out[name] = typed(excepted[0], member)
            else:
                out[name] = self.fill(member, hints, here)
        return out


LEFT_OUT = object()  # a hint: this request leaves the member out, because another that it holds excludes it


def hint_for(hints, path):
    matches = [end for end in hints if path == end or path.endswith("." + end)]
    return hints[max(matches, key=len)] if matches else None


def typed(text, shape):
    if shape.type_name == "boolean":
        return text == "true"
    if shape.type_name in ("integer", "long"):
        return int(text)
    return text


def leaves(value, path=""):
    """(path, value) of every member at the bottom."""
    if isinstance(value, dict) and value:
        for name, member in value.items():
            yield from leaves(member, f"{path}.{name}")
    elif isinstance(value, list) and value:
        for member in value:
            yield from leaves(member, path + "[]")
    else:
        yield path, value


def members_of(service, shape, seen=(), refused=("refused",)):
    """(structure, member) of everything below a shape that is not refused."""
    if shape.type_name == "structure" and shape.name not in seen:
        classes = service.classes(shape)
        for name, member in shape.members.items():
            kind, excepted = classes.get(name, ("unknown", []))
            if kind in refused and not excepted:
                continue
            yield (shape.name, name)
            yield from members_of(service, member, (*seen, shape.name), refused)
    elif shape.type_name == "list":
        yield from members_of(service, shape.member, seen, refused)
    elif shape.type_name == "map":
        yield from members_of(service, shape.value, seen, refused)


def filled_members(shape, value):
    """(structure, member) of everything that a value holds."""
    if shape.type_name == "structure":
        for name, member in value.items():
            yield (shape.name, name)
            yield from filled_members(shape.members[name], member)
    elif shape.type_name == "list":
        for member in value:
            yield from filled_members(shape.member, member)
    elif shape.type_name == "map":
        for member in value.values():
            yield from filled_members(shape.value, member)


def differences(sent, seen, path=""):
    """Where what is described is not what was sent; what AWS fills in beside it is no difference."""
    if isinstance(sent, dict):
        if not isinstance(seen, dict):
            return [f"{path}: sent {sent}, described {seen}"]
        return [d for name, value in sent.items() for d in differences(value, seen.get(name, "absent"), f"{path}.{name}")]
    if isinstance(sent, list):
        if not isinstance(seen, list) or len(sent) != len(seen):
            return [f"{path}: sent {sent}, described {seen}"]
        return [d for a, b in zip(sent, seen) for d in differences(a, b, path + "[]")]
    return [] if sent == seen else [f"{path}: sent {sent!r}, described {seen!r}"]
