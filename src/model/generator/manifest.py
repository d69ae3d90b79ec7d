"""Which class a manifest gives to a member of a shape.

  "members": {
    "StopTaskRequest": {"acted_on": ["cluster", "task"], "*": "kept"},
    "ContainerDefinition": {"*": {"class": "refused", "message": "Containers are not served."}},
    "*Request": {"acted_on": ["DryRun"]}
  }

The key "*" gives a class to the members that a shape's entry does not name. A shape's name may be a pattern with "*"; it
then says something of the members that the matching shapes have. The more exact word wins: a shape's own entry goes before
patterns, a member's name before "*", an earlier pattern before a later one.
"""

import fnmatch

CLASSES = ("acted_on", "kept", "refused_at_run", "refused")


class Wrong(Exception):
    pass


def spelled(kind, entry):
    """(class, refusal, allowed values) of what stands beside a member's name or beside "*"."""
    if isinstance(entry, str):
        entry = {"message": entry}
    return kind, entry.get("message", ""), entry.get("except", [])


class ShapeEntry:
    def __init__(self, where, by_class):
        self.members, self.rest = {}, None
        for kind, members in by_class.items():
            if kind == "*":
                self.rest = spelled(members, {}) if isinstance(members, str) else spelled(members["class"], members)
                self.check(f"{where}.*", self.rest)
                continue
            for member in members:
                if member in self.members:
                    raise Wrong(f"{where}.{member} has two classes")
                self.members[member] = spelled(kind, members[member] if isinstance(members, dict) else {})
                self.check(f"{where}.{member}", self.members[member])

    @staticmethod
    def check(where, found):
        if found[0] not in CLASSES:
            raise Wrong(f"{where}: no class is called {found[0]}")
        if found[0].startswith("refused") and not found[1]:
            raise Wrong(f"{where} is refused without a message")


class Classes:
    def __init__(self, members, where=""):
        self.exact, self.patterns = {}, {}
        for shape, by_class in members.items():
            (self.patterns if "*" in shape else self.exact)[shape] = ShapeEntry(f"{where}{shape}", by_class)
        self.used = set()  # (shape or pattern, member or "*") that said something

    def find(self, shape, member):
        """(class, refusal, allowed values), or None where the manifest is silent."""
        for name in ([shape] if shape in self.exact else []) + [p for p in self.patterns if fnmatch.fnmatchcase(shape, p)]:
            entry = self.exact.get(name) or self.patterns[name]
            for key, found in ((member, entry.members.get(member)), ("*", entry.rest)):
                if found:
                    self.used.add((name, key))
                    return found
        return None

    def unused(self):
        for name, entry in (self.exact | self.patterns).items():
            for member in list(entry.members) + (["*"] if entry.rest else []):
                if (name, member) not in self.used:
                    yield name, member
