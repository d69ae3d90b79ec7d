"""A service's model from botocore and its manifest, checked against each other.

Fails when a member that a served input can reach has no class in the manifest, and when the manifest names what the
model does not have.
"""

import collections
import fnmatch
import gzip
import json
import re

from manifest import Classes, Wrong

SIMPLE = {
    "string": ("string", "std::string"), "blob": ("blob", "std::string"), "integer": ("integer", "int32_t"),
    "long": ("long_integer", "int64_t"), "double": ("real", "double"), "float": ("real", "double"),
    "boolean": ("boolean", "bool"), "timestamp": ("timestamp", "TimeMs"),
}
KEYWORDS = set(
    "alignas alignof and asm auto bool break case catch char class concept const constexpr continue default delete do "
    "double else enum explicit export extern false float for friend goto if inline int long mutable namespace new not "
    "operator or private protected public register requires return short signed sizeof static struct switch template "
    "this throw true try typedef typename union unsigned using virtual void volatile while xor".split())


def read_model(data, service, version, name="service-2"):
    base = data / service / version / f"{name}.json"
    if base.exists():
        return json.loads(base.read_text())
    packed = base.with_suffix(".json.gz")
    return json.loads(gzip.decompress(packed.read_bytes())) if packed.exists() else None


def snake(name):
    name = name.replace("GiB", "Gib").replace("MiB", "Mib")
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
    return name + "_" if name in KEYWORDS else name


class Service:
    """A model and its manifest, checked against each other."""

    def __init__(self, data, manifest_path):
        self.manifest = json.loads(manifest_path.read_text())
        self.name = self.manifest["service"]
        self.cpp_name = self.name.replace("-", "_")
        self.path = manifest_path.name
        version = self.manifest["api_version"]
        self.model = read_model(data, self.name, version)
        if self.model is None:
            raise Wrong(f"{self.path}: this botocore has no model {self.name} {version}")
        self.paginators = (read_model(data, self.name, version, "paginators-1") or {}).get("pagination", {})
        self.metadata = self.model["metadata"]
        self.shapes = self.model["shapes"]
        self.operation_models = self.model["operations"]
        self.families = self.manifest["operations"]
        self.operations = [o for operations in self.families.values() for o in operations]
        for operation in self.operations:
            if operation not in self.operation_models:
                raise Wrong(f"{self.path}: the model has no operation {operation}")
        self.protocols = self.metadata.get("protocols", [self.metadata["protocol"]])
        # Of several, JSON answers those requests that do not say which they speak.
        self.protocol = "json" if "json" in self.protocols else self.metadata["protocol"]
        if self.manifest["rendered"] and "smithy-rpc-v2-cbor" in self.protocols:
            raise Wrong(f"{self.path}: members may come ready-made as JSON only where JSON is all that is spoken")
        self.classes = self.read_classes()
        self.find_recursion()

    def read_classes(self):
        """(shape, member) -> (class, refusal, allowed values), complete for what served inputs reach."""
        stated = Classes(self.manifest["members"], f"{self.path}: ")
        for shape, entry in stated.exact.items():
            for member in entry.members:
                if member not in self.shapes.get(shape, {}).get("members", {}):
                    raise Wrong(f"{self.path}: the model has no {shape}.{member}")
        classes, missing, seen = {}, [], set()
        work = [self.operation_models[o]["input"]["shape"] for o in self.operations if "input" in self.operation_models[o]]
        while work:
            name = work.pop()
            if name in seen:
                continue
            seen.add(name)
            if self.shapes[name]["type"] != "structure":
                work += self.children(name)
                continue
            for member, reference in self.shapes[name]["members"].items():
                found = stated.find(name, member)
                if not found:
                    missing.append(f"{name}.{member}")
                    continue
                classes[name, member] = found
                # What is refused whole is not looked into.
                if found[0] != "refused" or found[2]:
                    work.append(reference["shape"])
            required = [i for i, m in enumerate(self.shapes[name]["members"]) if m in self.shapes[name].get("required", [])]
            if required and required[-1] >= 64:
                raise Wrong(f"{self.path}: {name}: a required member is not among the first 64: readers count 64")
        if missing:
            raise Wrong(f"{self.path}: members of served inputs without a class: {', '.join(sorted(missing))}")
        unused = [f"{shape}.{member}" for shape, member in stated.unused()]
        if unused:
            raise Wrong(f"{self.path}: classes for members that no served input reaches: {', '.join(sorted(unused))}")
        return classes

    def roots(self, operation):
        model = self.operation_models[operation]
        return [model[side]["shape"] for side in ("input", "output") if side in model]

    def children(self, name):
        shape = self.shapes[name]
        if shape["type"] == "structure":
            return [reference["shape"] for reference in shape["members"].values()]
        if shape["type"] == "list":
            return [shape["member"]["shape"]]
        if shape["type"] == "map":
            return [shape["key"]["shape"], shape["value"]["shape"]]
        return []

    def reach(self, roots):
        seen, work = {}, collections.deque(roots)
        while work:
            name = work.popleft()
            if name not in seen:
                seen[name] = True
                work += self.children(name)
        return list(seen)

    def find_recursion(self):
        """The structures that contain themselves: Tarjan's strongly connected components, without recursion."""
        self.recursive = set()
        index, low, on_stack, stack = {}, {}, set(), []
        for root in self.reach([root for o in self.operations for root in self.roots(o)]):
            work = [(root, None)] if root not in index else []
            while work:
                name, children = work.pop()
                if children is None:
                    index[name] = low[name] = len(index)
                    stack.append(name)
                    on_stack.add(name)
                    children = iter(self.children(name))
                for child in children:
                    if child not in index:
                        work += [(name, children), (child, None)]
                        break
                    if child in on_stack:
                        low[name] = min(low[name], index[child])
                else:
                    if work:
                        low[work[-1][0]] = min(low[work[-1][0]], low[name])
                    if low[name] == index[name]:
                        component = stack[stack.index(name):]
                        del stack[-len(component):]
                        on_stack -= set(component)
                        if len(component) > 1 or name in self.children(name):
                            self.recursive |= {c for c in component if self.shapes[c]["type"] == "structure"}

    def is_document(self, name):
        return bool(self.shapes[name].get("document"))

    def is_union(self, name):
        """Of its members one is set. An event stream is a union too: of its events, one a message."""
        return bool(self.shapes[name].get("union") or self.shapes[name].get("eventstream"))

    def members(self, name):
        """What a structure's own body has: an event stream goes beside it."""
        members = self.shapes[name]["members"]
        return {m: r for m, r in members.items() if not self.shapes[r["shape"]].get("eventstream")}

    def event_stream(self, name):
        """(member, shape) of the event stream that goes with a structure, or None."""
        members = self.shapes[name]["members"]
        return next(((m, r["shape"]) for m, r in members.items() if self.shapes[r["shape"]].get("eventstream")), None)

    def is_required(self, shape, member):
        return member in self.shapes[shape].get("required", [])

    def is_struct(self, name):
        return self.shapes[name]["type"] == "structure" and not self.is_document(name)

    def cpp_type(self, name):
        shape = self.shapes[name]
        kind = shape["type"]
        if kind in SIMPLE:
            return SIMPLE[kind][1]
        if kind == "structure":
            return "model::Document" if self.is_document(name) else name
        if kind == "list":
            return f"std::vector<{self.cpp_type(shape['member']['shape'])}>"
        if kind == "map":
            if self.cpp_type(shape["key"]["shape"]) != "std::string":
                raise Wrong(f"{self.path}: {name}: only strings are keys of maps")
            return f"model::Map<{self.cpp_type(shape['value']['shape'])}>"
        raise Wrong(f"{self.path}: {name}: unknown type {kind}")

    def is_open(self, what, name):
        """Whether the manifest leaves a shape's pattern or enumeration to the service."""
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in self.manifest.get(f"open_{what}", []))

    def is_rendered(self, shape, member):
        return f"{shape}.{member}" in self.manifest["rendered"]

    def member_type(self, shape, member):
        """(the member's C++ type, the expression for its Presence)."""
        target = self.shapes[shape]["members"][member]["shape"]
        plain = self.cpp_type(target)
        if self.is_rendered(shape, member):
            return f"model::Rendered<{plain}>", f"&model::kRendered<{plain}>"
        if target in self.recursive and self.is_struct(target):
            return f"std::shared_ptr<{plain}>", f"&model::kShared<{plain}>"
        if self.is_required(shape, member):
            return plain, "nullptr"
        return f"std::optional<{plain}>", f"&model::kOptional<{plain}>"

    def family_of_shapes(self):
        """Structure -> the one family that uses it, or "common"."""
        users = {}
        for family, operations in self.families.items():
            for name in self.reach([root for o in operations for root in self.roots(o)]):
                users.setdefault(name, set()).add(family)
        return {n: next(iter(u)) if len(u) == 1 else "common" for n, u in users.items()}

    def query_key(self, shape, member):
        reference = self.shapes[shape]["members"][member]
        if self.protocol == "ec2":
            if "queryName" in reference:
                return reference["queryName"]
            name = reference.get("locationName", member)
            return name[0].upper() + name[1:]
        # A flattened list takes its element's name.
        target = self.shapes[reference["shape"]]
        if target["type"] == "list" and target.get("flattened") and "locationName" in target["member"]:
            return target["member"]["locationName"]
        return reference.get("locationName", member)


def load(data, manifest):
    return [Service(data, path) for path in sorted(manifest.glob("*.json"))]
