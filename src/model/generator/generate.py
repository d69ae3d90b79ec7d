"""Writes structs and descriptor tables from botocore's models and our manifests.

  generate.py --data BOTOCORE_DATA --manifest DIR --out DIR      everything the build needs
  generate.py --data BOTOCORE_DATA --manifest DIR --list         the files that it would write, for CMake

service.py reads the models and checks them against the manifests.
"""

import argparse
import pathlib
import sys

import pattern as patterns
from manifest import Wrong
from service import SIMPLE, load, read_model, snake

SHAPES_A_FILE = 50
PROTOCOLS = {"json": "json", "query": "query", "ec2": "ec2", "rest-json": "rest_json", "rest-xml": "rest_xml",
             "smithy-rpc-v2-cbor": "cbor"}


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
            lines.append(f'#include "model/{service.cpp_name}/common.h"')
        lines += ["", f"namespace berth::model::{service.cpp_name} {{", ""]
        forward = [n for n in by_family[family] if n in service.recursive]
        lines += [f"struct {name};" for name in forward]
        for name in by_family[family]:
            lines.append(f"struct {name} {{")
            lines.append("  static const model::Shape kShape;")
            for member in service.members(name):
                kind, _ = service.member_type(name, member)
                initial = " = {}" if not kind.startswith(("int", "bool", "double", "TimeMs")) else (
                    " = false" if kind == "bool" else " = 0")
                lines.append(f"  {kind} {snake(member)}{initial};")
            lines.append(f"  bool operator==(const {name}&) const = default;")
            lines += ["};", ""]
        lines.append(f"}}  // namespace berth::model::{service.cpp_name}")
        yield f"{service.cpp_name}/{family}.h", "\n".join(lines) + "\n"
    lines = [BANNER, "#pragma once\n", '#include "model/descriptor.h"', "", f"namespace berth::model::{service.cpp_name} {{", "",
             "extern const model::Service kService;", ""]
    lines += [f"extern const model::Operation k{operation};" for operation in service.operations]
    lines += ["", f"}}  // namespace berth::model::{service.cpp_name}", ""]
    yield f"{service.cpp_name}/operations.h", "\n".join(lines)


class Tables:
    def __init__(self, service):
        self.service = service
        names = service.reach([root for o in service.operations for root in service.roots(o)])
        self.structs = [n for n in names if service.is_struct(n)]
        self.validated = self.find_validated(names)
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
        parts = [".kind = model::Kind::" + ("document" if kind == "structure" else SIMPLE[kind][0] if kind in SIMPLE else kind),
                 f".name = {quote(name)}"]
        parts += self.constraint(shape)
        # An open pattern is one that the service checks, because no small automaton does.
        if "pattern" in shape and not service.is_open("patterns", name):
            self.pattern(name, shape["pattern"], lines)
            parts.append(f".pattern = &pattern_{name}")
        # An open enum is left to the service: it accepts, or words, what AWS's own list does not have.
        if "enum" in shape and not service.is_open("enums", name):
            values = ", ".join(quote(v) for v in shape["enum"])
            lines.append(f"constexpr std::string_view enum_{name}[] = {{{values}}};")
            parts.append(f".enumeration = enum_{name}")
        if kind == "list":
            element = self.simple(shape["member"]["shape"], lines, written)
            element_name = shape["member"].get("locationName", "item" if service.protocol == "ec2" else "member")
            flattened = shape.get("flattened") or service.protocol == "ec2"
            parts += [f".element = {element}", f".vector = &model::kVector<{service.cpp_type(shape['member']['shape'])}>",
                      f".element_name = {quote(element_name)}", f".flattened = {str(bool(flattened)).lower()}"]
        if kind == "map":
            key = self.simple(shape["key"]["shape"], lines, written)
            value = self.simple(shape["value"]["shape"], lines, written)
            parts += [f".element = {value}", f".key = {key}", f".map = &model::kMap<{service.cpp_type(shape['value']['shape'])}>",
                      f".element_name = {quote(shape['value'].get('locationName', 'value'))}",
                      f".key_name = {quote(shape['key'].get('locationName', 'key'))}",
                      f".flattened = {str(bool(shape.get('flattened'))).lower()}"]
        parts.append(f".validated = {self.is_validated(name)}")
        lines.append(f"constexpr model::Shape {variable} = {{{', '.join(parts)}}};")
        return f"&{variable}"

    def pattern(self, name, text, lines):
        try:
            byte_class, classes, transitions, accepting = patterns.compile_pattern(text)
        except patterns.Unsupported as reason:
            raise Wrong(f"{self.service.path}: {name}: {text}: {reason}; check it in the service and name it in open_patterns") from reason
        lines.append(f"constexpr uint8_t bytes_{name}[] = {{{','.join(map(str, byte_class))}}};")
        lines.append(f"constexpr uint16_t next_{name}[] = {{{','.join(str(t) for row in transitions for t in row)}}};")
        lines.append(f"constexpr uint8_t accepting_{name}[] = {{{','.join(map(str, accepting))}}};")
        lines.append(f"constexpr model::Pattern pattern_{name} = {{{quote(text)}, bytes_{name}, {classes}, next_{name}, "
                     f"accepting_{name}}};")

    def find_validated(self, names):
        """The shapes that have, or from which one reaches, a constraint, a required member, a union or a refusal."""
        service, parents = self.service, {}
        for name in names:
            for child in service.children(name):
                parents.setdefault(child, set()).add(name)
        work = [n for n in names if self.is_constrained(service.shapes[n], n)]
        found = set()
        while work:
            name = work.pop()
            if name not in found:
                found.add(name)
                work += parents.get(name, ())
        return found

    def is_constrained(self, shape, name):
        if any(k in shape for k in ("min", "max", "pattern", "enum", "union")) or shape.get("required"):
            return True
        return shape["type"] == "structure" and any(
            self.service.classes.get((name, m), ("",))[0] == "refused" for m in shape["members"])

    def is_validated(self, name):
        return str(name in self.validated).lower()

    def member(self, struct, member, lines, written):
        service = self.service
        reference = service.shapes[struct]["members"][member]
        target = self.simple(reference["shape"], lines, written)
        kind, refusal, allowed = service.classes.get((struct, member), ("unclassified", "", []))
        values = "{}"
        if allowed:
            values = f"allowed_{struct}_{snake(member)}"
            lines.append(f"constexpr std::string_view {values}[] = {{{', '.join(quote(v) for v in allowed)}}};")
        required = str(service.is_required(struct, member)).lower()
        presence = service.member_type(struct, member)[1]
        renamed = service.protocol == "rest-json" and "location" not in reference
        key = quote(f'"{reference.get("locationName", member) if renamed else member}":')
        xml = reference.get("locationName", member)
        return (f"    {{{quote(member)}, {key}, {quote(service.query_key(struct, member))}, {quote(xml)}, {target}, "
                f"offsetof({struct}, {snake(member)}), {presence}, model::MemberClass::{kind}, {self.location(struct, member, reference)}, "
                f"{required}, {quote(refusal)}, {values}}},")

    def location(self, struct, member, reference):
        if "location" in reference:
            place = {"header": "header", "headers": "headers", "querystring": "query", "uri": "uri", "statusCode": "status"}
            return f"model::Location::{place[reference['location']]}"
        if self.service.shapes[struct].get("payload") == member:
            return "model::Location::payload"
        for trait, place in (("eventpayload", "event_payload"), ("eventheader", "event_header")):
            if reference.get(trait):
                return f"model::Location::{place}"
        return "model::Location::body"

    def files(self):
        service = self.service
        for number, first in enumerate(range(0, len(self.structs), SHAPES_A_FILE), 1):
            lines, written = [], set()
            for struct in self.structs[first : first + SHAPES_A_FILE]:
                members = [self.member(struct, m, lines, written) for m in service.members(struct)]
                if members:
                    lines.append(f"constexpr model::Member members_{struct}[] = {{")
                    lines += members + ["};"]
                union = ", .is_union = true" if service.is_union(struct) else ""
                shown = f".members = members_{struct}, " if members else ""
                lines.append("}  // namespace")
                lines.append(f"constinit const model::Shape {struct}::kShape = {{.kind = model::Kind::structure, .name = {quote(struct)}, "
                             f"{shown}.validated = {self.is_validated(struct)}{union}}};")
                lines.append("namespace {")
            families = sorted({f for f in service.families} | {"common"})
            head = [BANNER] + [f'#include "model/{service.cpp_name}/{family}.h"' for family in families]
            head += ["", f"namespace berth::model::{service.cpp_name} {{", "namespace {"]
            yield (f"{service.cpp_name}/shapes_{number}.cc",
                   "\n".join(head + lines + ["}  // namespace", f"}}  // namespace berth::model::{service.cpp_name}"]) + "\n")
        yield f"{service.cpp_name}/operations.cc", self.operations()

    def error(self, name):
        shape = self.service.shapes[name]
        wire = shape.get("error", {})
        status = wire.get("httpStatusCode", 500 if shape.get("fault") else 400)
        message = next((m for m in shape["members"] if m.lower() == "message"), "message")
        return (f"{{{quote(name)}, {quote(wire.get('code', name))}, {status}, {quote(message)}, "
                f"{'error_' + name if self.error_members(name) else '{}'}}}")

    def error_members(self, name):
        """What an error has beside its message, but for structures, which no answer of ours has."""
        shape = self.service.shapes[name]
        kinds = {m: self.service.shapes[r["shape"]]["type"] for m, r in shape["members"].items() if m.lower() != "message"}
        return [f"{{{quote(m)}, model::Kind::{SIMPLE[k][0] if k in SIMPLE else k}}}" for m, k in kinds.items()
                if k in SIMPLE or k == "list"]

    def operations(self):
        service = self.service
        metadata = service.metadata
        families = sorted({f for f in service.families} | {"common"})
        lines = [BANNER, f'#include "model/{service.cpp_name}/operations.h"', "", "#include <array>", ""]
        lines += [f'#include "model/{service.cpp_name}/{family}.h"' for family in families]
        lines += ["", f"namespace berth::model::{service.cpp_name} {{", "namespace {"]
        for name in sorted({e["shape"] for o in service.operations for e in service.operation_models[o].get("errors", [])}):
            if members := self.error_members(name):
                lines.append(f"constexpr model::ErrorMember error_{name}[] = {{{', '.join(members)}}};")
        for operation in service.operations:
            errors = service.operation_models[operation].get("errors", [])
            if errors:
                shown = ", ".join(self.error(e["shape"]) for e in errors)
                lines.append(f"constexpr model::ErrorShape errors_{operation}[] = {{{shown}}};")
        lines.append("}  // namespace")
        validation = service.manifest["validation"]
        if any("input" not in service.operation_models[o] for o in service.operations):
            lines.append('constinit const model::Shape kNoInput = {.kind = model::Kind::structure, .name = "NoInput"};')
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
                f"{quote(service.manifest['refusal_error'])}, {str(token).lower()}, "
                f"{quote(model['http']['method'])}, {quote(model['http']['requestUri'])}, "
                f"{quote(model.get('endpoint', {}).get('hostPrefix', ''))}, {self.events(source)}, "
                f"{self.events(model.get('output', {}).get('shape'))}}};")
        served = sorted(service.operations)
        others = sorted(set(service.operation_models) - set(served))
        lines += ["namespace {", "constexpr const model::Operation* kServed[] = {" + ", ".join(f"&k{o}" for o in served) + "};",
                  f"constexpr std::array<std::string_view, {len(others)}> kOthers = {{{', '.join(quote(o) for o in others)}}};",
                  "constexpr model::Protocol kProtocols[] = {" + ", ".join(
                      f"model::Protocol::{PROTOCOLS[p]}" for p in service.protocols) + "};", "}  // namespace"]
        lines.append(
            f"constinit const model::Service kService = {{{quote(service.name)}, {quote(metadata['serviceFullName'])}, "
            f"{quote(metadata.get('signingName', metadata['endpointPrefix']))}, {quote(metadata['apiVersion'])}, "
            f"model::Protocol::{PROTOCOLS[service.protocol]}, kProtocols, {str('awsQueryCompatible' in metadata).lower()}, {quote(metadata.get('jsonVersion', ''))}, "
            f"{quote(metadata.get('targetPrefix', ''))}, {quote(metadata.get('xmlNamespace', ''))}, "
            f"model::ValidationStyle::{validation['style']}, kServed, kOthers}};")
        lines += [f"}}  // namespace berth::model::{service.cpp_name}", ""]
        return "\n".join(lines)

    def events(self, name):
        stream = self.service.event_stream(name) if name else None
        return f"{{{quote(stream[0])}, &{stream[1]}::kShape}}" if stream else "{}"

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
    lines += [f'#include "model/{s.cpp_name}/operations.h"' for s in services]
    lines += ["", "namespace berth::model {", "namespace {",
              "constexpr const Service* kServices[] = {" + ", ".join(f"&{s.cpp_name}::kService" for s in services) + "};",
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
    arguments.add_argument("--no-services", action="store_true", help="no services.cc: for tables that only tests know")
    options = arguments.parse_args()
    try:
        services = load(options.data, options.manifest)
        files = {}
        for service in services:
            files.update(write_headers(service, options.out))
            files.update(Tables(service).files())
        if not options.no_services:
            files["services.cc"] = "" if options.list else write_services(services, options.data)
    except Wrong as wrong:
        sys.exit(f"model: {wrong}")
    if options.list:
        print(";".join(sorted(files)), end="")
        return
    for name, text in files.items():
        path = options.out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        # Files that stay as they were are left alone, so that what includes them is not built again.
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


if __name__ == "__main__":
    main()
