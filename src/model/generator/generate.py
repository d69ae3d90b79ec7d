"""Writes structs and descriptor tables from botocore's models and our manifests.

  generate.py --data BOTOCORE_DATA --manifest DIR --out DIR      everything the build needs
  generate.py --data BOTOCORE_DATA --manifest DIR --list         the files that it would write, for CMake
  compatibility.py uses load() for the page in docs/.

Fails when a member that a served input can reach has no class in the manifest, and when the manifest names what the
model does not have.
"""

import argparse
import gzip
import json
import pathlib
import re
import sys

import pattern as patterns

SHAPES_A_FILE = 50
CLASSES = ("acted_on", "kept", "refused_at_run", "refused")
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
PROTOCOLS = {"json": "json", "query": "query", "ec2": "ec2", "rest-json": "rest_json", "rest-xml": "rest_xml",
             "smithy-rpc-v2-cbor": "cbor"}


class Wrong(Exception):
    pass


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


def quote(text):
    out = []
    for byte in text.encode():
        char = chr(byte)
        if char in '"\\':
            out.append("\\" + char)
        elif 0x20 <= byte < 0x7F:
            out.append(char)
        else:
            out.append(f"\\{byte:03o}")
    return '"' + "".join(out) + '"'


class Service:
    """A model and its manifest, checked against each other."""

    def __init__(self, data, manifest_path):
        self.manifest = json.loads(manifest_path.read_text())
        self.name = self.manifest["service"]
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
        self.protocol = self.metadata["protocol"]
        self.classes = self.read_classes()
        self.find_recursion()

    def read_classes(self):
        """(shape, member) -> (class, refusal, allowed values), complete for what served inputs reach."""
        classes = {}
        for shape, by_class in self.manifest["members"].items():
            for name, members in by_class.items():
                if name not in CLASSES:
                    raise Wrong(f"{self.path}: {shape}: no class is called {name}")
                for member in members:
                    if member not in self.shapes.get(shape, {}).get("members", {}):
                        raise Wrong(f"{self.path}: the model has no {shape}.{member}")
                    if (shape, member) in classes:
                        raise Wrong(f"{self.path}: {shape}.{member} has two classes")
                    entry = members[member] if isinstance(members, dict) else {}
                    if isinstance(entry, str):
                        entry = {"message": entry}
                    if name.startswith("refused") and not entry.get("message"):
                        raise Wrong(f"{self.path}: {shape}.{member} is refused without a message")
                    classes[shape, member] = (name, entry.get("message", ""), entry.get("except", []))
        for name, shape in self.shapes.items():
            if any(s == name for s, _ in classes) and shape.get("required") and len(shape["members"]) > 64:
                raise Wrong(f"{self.path}: {name}: more than 64 members, some required: the reader counts 64")
        missing, reached = [], set()
        work = [self.operation_models[o]["input"]["shape"] for o in self.operations if "input" in self.operation_models[o]]
        seen = set()
        while work:
            name = work.pop()
            if name in seen:
                continue
            seen.add(name)
            shape = self.shapes[name]
            if shape["type"] == "structure":
                for member, reference in shape["members"].items():
                    reached.add((name, member))
                    if (name, member) not in classes:
                        missing.append(f"{name}.{member}")
                        continue
                    kind, _, allowed = classes[name, member]
                    # What is refused whole is not looked into.
                    if kind != "refused" or allowed:
                        work.append(reference["shape"])
            elif shape["type"] == "list":
                work.append(shape["member"]["shape"])
            elif shape["type"] == "map":
                work += [shape["key"]["shape"], shape["value"]["shape"]]
        if missing:
            raise Wrong(f"{self.path}: members of served inputs without a class: {', '.join(sorted(missing))}")
        unreached = [f"{s}.{m}" for s, m in classes if (s, m) not in reached]
        if unreached:
            raise Wrong(f"{self.path}: classes for members that no served input reaches: {', '.join(sorted(unreached))}")
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
        seen, work = {}, list(roots)
        while work:
            name = work.pop(0)
            if name not in seen:
                seen[name] = True
                work += self.children(name)
        return list(seen)

    def find_recursion(self):
        self.recursive = set()
        for name in self.reach([root for o in self.operations for root in self.roots(o)]):
            if self.shapes[name]["type"] == "structure" and name in self.reach(self.children(name)):
                self.recursive.add(name)

    def is_document(self, name):
        return bool(self.shapes[name].get("document"))

    def is_struct(self, name):
        return self.shapes[name]["type"] == "structure" and not self.is_document(name)

    def cpp_type(self, name):
        shape = self.shapes[name]
        kind = shape["type"]
        if kind in SIMPLE:
            return SIMPLE[kind][1]
        if kind == "structure":
            return "Document" if self.is_document(name) else name
        if kind == "list":
            element = shape["member"]["shape"]
            if element in self.recursive:
                raise Wrong(f"{self.path}: {name}: lists of a recursive structure need vector<shared_ptr>; not written yet")
            return f"std::vector<{self.cpp_type(element)}>"
        if kind == "map":
            if self.cpp_type(shape["key"]["shape"]) != "std::string" or self.cpp_type(shape["value"]["shape"]) != "std::string":
                raise Wrong(f"{self.path}: {name}: only maps of strings to strings are known")
            return "StringMap"
        raise Wrong(f"{self.path}: {name}: unknown type {kind}")

    def is_rendered(self, shape, member):
        return f"{shape}.{member}" in self.manifest["rendered"]

    def member_type(self, shape, member):
        target = self.shapes[shape]["members"][member]["shape"]
        plain = self.cpp_type(target)
        if self.is_rendered(shape, member):
            return f"Rendered<{plain}>"
        if target in self.recursive and self.is_struct(target):
            return f"std::shared_ptr<{plain}>"
        return plain if member in self.shapes[shape].get("required", []) else f"std::optional<{plain}>"

    def presence(self, shape, member):
        target = self.shapes[shape]["members"][member]["shape"]
        plain = self.cpp_type(target)
        if self.is_rendered(shape, member):
            return f"&kRendered<{plain}>"
        if target in self.recursive and self.is_struct(target):
            return f"&kShared<{plain}>"
        return "nullptr" if member in self.shapes[shape].get("required", []) else f"&kOptional<{plain}>"

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


# ---------------------------------------------------------------------------------------------------- writing

BANNER = "// Written by src/model/generator from botocore's model and src/model/manifest. Do not edit.\n"


def write_headers(service, out):
    families = service.family_of_shapes()
    order = ["common"] + list(service.families)
    by_family = {family: [] for family in order}

    def place(name, done):
        if name in done:
            return
        done.add(name)
        for child in service.children(name):
            if child in service.recursive and name in service.recursive:
                continue
            place(child, done)
        if service.is_struct(name):
            by_family[families[name]].append(name)

    done = set()
    for operation in service.operations:
        for root in service.roots(operation):
            place(root, done)
    for family in order:
        lines = [BANNER, "#pragma once\n", '#include "base/clock.h"', '#include "model/descriptor.h"']
        if family != "common":
            lines.append(f'#include "model/{service.name}/common.h"')
        lines += ["", f"namespace berth::model::{service.name} {{", ""]
        forward = [n for n in by_family[family] if n in service.recursive]
        lines += [f"struct {name};" for name in forward]
        for name in by_family[family]:
            lines.append(f"struct {name} {{")
            lines.append("  static const model::Shape kShape;")
            for member in service.shapes[name]["members"]:
                kind = service.member_type(name, member)
                initial = " = {}" if not kind.startswith(("int", "bool", "double", "TimeMs")) else (
                    " = false" if kind == "bool" else " = 0")
                lines.append(f"  {kind} {snake(member)}{initial};")
            lines.append(f"  bool operator==(const {name}&) const = default;")
            lines += ["};", ""]
        lines.append(f"}}  // namespace berth::model::{service.name}")
        yield f"{service.name}/{family}.h", "\n".join(lines) + "\n"
    lines = [BANNER, "#pragma once\n", '#include "model/descriptor.h"', "", f"namespace berth::model::{service.name} {{", "",
             "extern const model::Service kService;", ""]
    lines += [f"extern const model::Operation k{operation};" for operation in service.operations]
    lines += ["", f"}}  // namespace berth::model::{service.name}", ""]
    yield f"{service.name}/operations.h", "\n".join(lines)


class Tables:
    def __init__(self, service):
        self.service = service
        names = service.reach([root for o in service.operations for root in service.roots(o)])
        self.structs = [n for n in names if service.is_struct(n)]
        self.patterns = []

    def constraint(self, shape):
        parts = []
        if "min" in shape:
            parts.append(f".min = {int(shape['min'])}")
        if "max" in shape:
            parts.append(f".max = {int(shape['max'])}")
        return parts

    def simple(self, name, lines, written):
        """Emits tables of what is no structure into this file and returns the expression for a shape's address."""
        service = self.service
        shape = service.shapes[name]
        if service.is_struct(name):
            return f"&{name}::kShape"
        variable = f"shape_{name}"
        if name in written:
            return f"&{variable}"
        written.add(name)
        kind = shape["type"]
        parts = [".kind = Kind::" + ("document" if kind == "structure" else SIMPLE[kind][0] if kind in SIMPLE else kind),
                 f".name = {quote(name)}"]
        parts += self.constraint(shape)
        if "pattern" in shape:
            self.pattern(name, shape["pattern"], lines)
            parts.append(f".pattern = &pattern_{name}")
        # An open enum is left to the service: it accepts, or words, what AWS's own list does not have.
        if "enum" in shape and name not in service.manifest.get("open_enums", []):
            values = ", ".join(quote(v) for v in shape["enum"])
            lines.append(f"constexpr std::string_view enum_{name}[] = {{{values}}};")
            parts.append(f".enumeration = enum_{name}")
        if kind == "list":
            element = self.simple(shape["member"]["shape"], lines, written)
            element_name = shape["member"].get("locationName", "item" if service.protocol == "ec2" else "member")
            flattened = shape.get("flattened") or service.protocol == "ec2"
            parts += [f".element = {element}", f".vector = &kVector<{service.cpp_type(shape['member']['shape'])}>",
                      f".element_name = {quote(element_name)}", f".flattened = {str(bool(flattened)).lower()}"]
        if kind == "map":
            key = self.simple(shape["key"]["shape"], lines, written)
            value = self.simple(shape["value"]["shape"], lines, written)
            parts += [f".element = {value}", f".key = {key}"]
        parts.append(f".validated = {str(self.validated(name)).lower()}")
        lines.append(f"constexpr model::Shape {variable} = {{{', '.join(parts)}}};")
        return f"&{variable}"

    def pattern(self, name, text, lines):
        byte_class, classes, transitions, accepting = patterns.compile_pattern(text)
        lines.append(f"constexpr uint8_t bytes_{name}[] = {{{','.join(map(str, byte_class))}}};")
        lines.append(f"constexpr uint16_t next_{name}[] = {{{','.join(str(t) for row in transitions for t in row)}}};")
        lines.append(f"constexpr uint8_t accepting_{name}[] = {{{','.join(map(str, accepting))}}};")
        lines.append(f"constexpr model::Pattern pattern_{name} = {{{quote(text)}, bytes_{name}, {classes}, next_{name}, "
                     f"accepting_{name}}};")

    def validated(self, name, below=()):
        shape = self.service.shapes[name]
        if name in below:
            return False
        if any(k in shape for k in ("min", "max", "pattern", "enum")) or shape.get("required"):
            return True
        if shape["type"] == "structure" and any(
                self.service.classes.get((name, m), ("",))[0] == "refused" for m in shape["members"]):
            return True
        return any(self.validated(child, below + (name,)) for child in self.service.children(name))

    def member(self, struct, member, lines, written):
        service = self.service
        reference = service.shapes[struct]["members"][member]
        target = self.simple(reference["shape"], lines, written)
        kind, refusal, allowed = service.classes.get((struct, member), ("unclassified", "", []))
        values = "{}"
        if allowed:
            values = f"allowed_{struct}_{snake(member)}"
            lines.append(f"constexpr std::string_view {values}[] = {{{', '.join(quote(v) for v in allowed)}}};")
        required = str(member in service.shapes[struct].get("required", [])).lower()
        key = quote(f'"{member}":')
        xml = reference.get("locationName", member)
        return (f"    {{{quote(member)}, {key}, {quote(service.query_key(struct, member))}, {quote(xml)}, {target}, "
                f"offsetof({struct}, {snake(member)}), {service.presence(struct, member)}, MemberClass::{kind}, {required}, "
                f"{quote(refusal)}, {values}}},")

    def files(self):
        service = self.service
        for number, first in enumerate(range(0, len(self.structs), SHAPES_A_FILE), 1):
            lines, written = [], set()
            for struct in self.structs[first : first + SHAPES_A_FILE]:
                members = [self.member(struct, m, lines, written) for m in service.shapes[struct]["members"]]
                if members:
                    lines.append(f"constexpr model::Member members_{struct}[] = {{")
                    lines += members + ["};"]
                shown = f".members = members_{struct}, " if members else ""
                lines.append("}  // namespace")
                lines.append(f"constinit const model::Shape {struct}::kShape = {{.kind = Kind::structure, .name = {quote(struct)}, "
                             f"{shown}.validated = {str(self.validated(struct)).lower()}}};")
                lines.append("namespace {")
            families = sorted({f for f in service.families} | {"common"})
            head = [BANNER] + [f'#include "model/{service.name}/{family}.h"' for family in families]
            head += ["", f"namespace berth::model::{service.name} {{", "namespace {"]
            yield (f"{service.name}/shapes_{number}.cc",
                   "\n".join(head + lines + ["}  // namespace", f"}}  // namespace berth::model::{service.name}"]) + "\n")
        yield f"{service.name}/operations.cc", self.operations()

    def error(self, name):
        shape = self.service.shapes[name]
        wire = shape.get("error", {})
        status = wire.get("httpStatusCode", 500 if shape.get("fault") else 400)
        return f"{{{quote(name)}, {quote(wire.get('code', name))}, {status}}}"

    def operations(self):
        service = self.service
        metadata = service.metadata
        families = sorted({f for f in service.families} | {"common"})
        lines = [BANNER, f'#include "model/{service.name}/operations.h"', ""]
        lines += [f'#include "model/{service.name}/{family}.h"' for family in families]
        lines += ["", f"namespace berth::model::{service.name} {{", "namespace {"]
        for operation in service.operations:
            errors = service.operation_models[operation].get("errors", [])
            if errors:
                shown = ", ".join(self.error(e["shape"]) for e in errors)
                lines.append(f"constexpr ErrorShape errors_{operation}[] = {{{shown}}};")
        lines.append("}  // namespace")
        validation = service.manifest["validation"]
        if any("input" not in service.operation_models[o] for o in service.operations):
            lines.append('constinit const model::Shape kNoInput = {.kind = Kind::structure, .name = "NoInput"};')
            lines.append("struct NoInput {};")
        for operation in service.operations:
            model = service.operation_models[operation]
            source = model["input"]["shape"] if "input" in model else None
            shape = f"&{source}::kShape" if source else "&kNoInput"
            output = f"&{model['output']['shape']}::kShape" if "output" in model else "nullptr"
            wrapper = model.get("output", {}).get("resultWrapper", "")
            errors = f"errors_{operation}" if model.get("errors") else "{}"
            token = any("idempotencyToken" in m for m in service.shapes[source]["members"].values()) if source else False
            error = validation["errors"].get(operation, validation["error"])
            lines.append(
                f"constinit const model::Operation k{operation} = {{&kService, {quote(operation)}, {shape}, "
                f"[]() -> std::shared_ptr<void> {{ return std::make_shared<{source or 'NoInput'}>(); }}, {output}, "
                f"{quote(wrapper)}, {errors}, {self.paginator(operation)}, {quote(error)}, "
                f"{quote(service.manifest['refusal_error'])}, {str(token).lower()}}};")
        served = sorted(service.operations)
        others = sorted(set(service.operation_models) - set(served))
        lines += ["namespace {", "constexpr const model::Operation* kServed[] = {" + ", ".join(f"&k{o}" for o in served) + "};",
                  "constexpr std::string_view kOthers[] = {" + ", ".join(quote(o) for o in others) + "};", "}  // namespace"]
        lines.append(
            f"constinit const model::Service kService = {{{quote(service.name)}, {quote(metadata['serviceFullName'])}, "
            f"{quote(metadata.get('signingName', metadata['endpointPrefix']))}, {quote(metadata['apiVersion'])}, "
            f"Protocol::{PROTOCOLS[service.protocol]}, {quote(metadata.get('jsonVersion', ''))}, "
            f"{quote(metadata.get('targetPrefix', ''))}, {quote(metadata.get('xmlNamespace', ''))}, "
            f"ValidationStyle::{validation['style']}, kServed, kOthers}};")
        lines += [f"}}  // namespace berth::model::{service.name}", ""]
        return "\n".join(lines)

    def paginator(self, operation):
        pages = self.service.paginators.get(operation)
        if not pages or isinstance(pages["input_token"], list) or isinstance(pages["output_token"], list):
            return "{}"
        result = pages["result_key"]
        result = result[0] if isinstance(result, list) else result
        return "{" + ", ".join(quote(t) for t in (pages["input_token"], pages["output_token"], pages.get("limit_key", ""),
                                                 result)) + "}"


def write_services(services, data):
    served = {s.metadata.get("signingName", s.metadata["endpointPrefix"]) for s in services}
    foreign = {}
    for folder in sorted(p for p in data.iterdir() if p.is_dir()):
        versions = sorted(p.name for p in folder.iterdir() if p.is_dir())
        model = read_model(data, folder.name, versions[-1]) if versions else None
        if model:
            metadata = model["metadata"]
            name = metadata.get("signingName", metadata["endpointPrefix"])
            # Of several with one signing name, that which has the name's folder says how it is called.
            if name not in served and (name not in foreign or folder.name == name):
                foreign[name] = (metadata["serviceFullName"], PROTOCOLS[metadata["protocol"]])
    lines = [BANNER, '#include "model/descriptor.h"']
    lines += [f'#include "model/{s.name}/operations.h"' for s in services]
    lines += ["", "namespace berth::model {", "namespace {",
              "constexpr const Service* kServices[] = {" + ", ".join(f"&{s.name}::kService" for s in services) + "};",
              "constexpr ForeignService kForeign[] = {"]
    lines += [f"    {{{quote(n)}, {quote(full)}, Protocol::{protocol}}}," for n, (full, protocol) in sorted(foreign.items())]
    lines += ["};", "}  // namespace", "",
              "std::span<const Service* const> services() { return kServices; }",
              "std::span<const ForeignService> foreign_services() { return kForeign; }", "", "}  // namespace berth::model", ""]
    return "\n".join(lines)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--data", type=pathlib.Path, required=True)
    arguments.add_argument("--manifest", type=pathlib.Path, required=True)
    arguments.add_argument("--out", type=pathlib.Path)
    arguments.add_argument("--list", action="store_true")
    options = arguments.parse_args()
    try:
        services = load(options.data, options.manifest)
        files = {}
        for service in services:
            files.update(write_headers(service, options.out))
            files.update(Tables(service).files())
        if not options.list:
            files["services.cc"] = write_services(services, options.data)
    except Wrong as wrong:
        sys.exit(f"model: {wrong}")
    if options.list:
        print(";".join(sorted(files) + ["services.cc"]), end="")
        return
    for name, text in files.items():
        path = options.out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        # Files that stay as they were are left alone, so that what includes them is not built again.
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


if __name__ == "__main__":
    main()
