"""The generator must fail the build where the manifest and the model disagree. Run by model_test."""

import argparse
import json
import pathlib
import sys
import tempfile
import unittest

import pattern
import service
from manifest import Wrong

OPTIONS = None


def load_changed(change):
    manifest = json.loads((OPTIONS.manifest / "ecs.json").read_text())
    change(manifest)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "ecs.json"
        path.write_text(json.dumps(manifest))
        return service.Service(OPTIONS.data, path)


class Manifest(unittest.TestCase):
    def refuses(self, change, text):
        with self.assertRaises(Wrong) as caught:
            load_changed(change)
        self.assertIn(text, str(caught.exception))

    def test_as_it_stands(self):
        load_changed(lambda manifest: None)

    def test_member_without_class(self):
        self.refuses(lambda m: m["members"]["StopTaskRequest"]["acted_on"].remove("reason"), "without a class: StopTaskRequest.reason")

    def test_member_without_class_deep_down(self):
        self.refuses(lambda m: m["members"].pop("HealthCheck"), "HealthCheck.command")

    def test_member_with_two_classes(self):
        self.refuses(lambda m: m["members"]["StopTaskRequest"].update(kept=["reason"]), "two classes")

    def test_member_of_no_model(self):
        self.refuses(lambda m: m["members"]["StopTaskRequest"]["acted_on"].append("nonsense"), "no StopTaskRequest.nonsense")

    def test_operation_of_no_model(self):
        self.refuses(lambda m: m["operations"]["task"].append("NoSuchTask"), "no operation NoSuchTask")

    def test_class_for_what_is_not_reached(self):
        self.refuses(lambda m: m["members"].update(StartTaskRequest={"kept": ["group"]}), "no served input reaches: StartTaskRequest.group")

    def test_wildcards(self):
        def change(manifest):
            manifest["members"]["StopTaskRequest"] = {"acted_on": ["task"], "*": "kept"}
            del manifest["members"]["DescribeTasksRequest"]
            del manifest["members"]["DescribeServicesRequest"]
            manifest["members"]["Describe*sRequest"] = {"acted_on": ["tasks", "services"], "*": {"class": "refused", "message": "No."}}
        classes = load_changed(change).classes
        self.assertEqual(classes["StopTaskRequest", "task"], ("acted_on", "", []))
        self.assertEqual(classes["StopTaskRequest", "reason"], ("kept", "", []))
        self.assertEqual(classes["DescribeTasksRequest", "tasks"], ("acted_on", "", []))
        self.assertEqual(classes["DescribeServicesRequest", "include"], ("refused", "No.", []))
        self.assertEqual(classes["DescribeClustersRequest", "include"], ("acted_on", "", []))

    def test_wildcard_that_says_nothing(self):
        self.refuses(lambda m: m["members"].update({"Nonsense*": {"*": "kept"}}), "no served input reaches: Nonsense*.*")
        self.refuses(lambda m: m["members"]["StopTaskRequest"].update({"*": "kept"}), "no served input reaches: StopTaskRequest.*")

    def test_wildcard_refused_without_message(self):
        self.refuses(lambda m: m["members"].update({"*": {"*": "refused"}}), "refused without a message")

    def test_refused_without_message(self):
        self.refuses(lambda m: m["members"]["ListTasksRequest"].update(refused={"daemonName": ""}), "without a message")


class Names(unittest.TestCase):
    def test_snake(self):
        for name, expected in {"enableECSManagedTags": "enable_ecs_managed_tags", "sizeInGiB": "size_in_gib", "namespace": "namespace_",
                               "managedEBSVolume": "managed_ebs_volume", "VpcIds": "vpc_ids", "Ipv6CidrBlock": "ipv6_cidr_block"}.items():
            self.assertEqual(service.snake(name), expected)


class Patterns(unittest.TestCase):
    def matches(self, text_pattern, text):
        byte_class, _, transitions, accepting = pattern.compile_pattern(text_pattern)
        state = 1
        for byte in text.encode():
            state = transitions[state][byte_class[byte]]
        return bool(accepting[state])

    def test_patterns(self):
        for text_pattern, yes, no in (
            (r"[\.\-_/#A-Za-z0-9]+", ["/ecs/x", "A.b-c_d#1"], ["", "a b", "é"]),
            (r"[^:*]*", ["", "é/x", "a b"], ["a:b", "*"]),
            (r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]+)$", ["é b", "a=b"], ["", "a!"]),
            (r"^\d{12}$", ["123456789012"], ["12345678901", "1234567890123", "12345678901a"]),
            (r"(ab|c)*d?", ["", "ababcd", "cc"], ["da", "a"]),
            (r"[ -~]{2,3}", ["ab", "abc"], ["a", "abcd", "a\n"]),
            (r"^(?!arn:)[!-~]{1,5}$", ["arn", "abcde", "ar:n"], ["", "arn:", "arn:a", "abcdef", "a b"]),
            (r"((?=^.{1,4}$)^([a-z]+(\.[a-z]+)*$))|(^\.$)", ["a.b", "abcd", "."], ["abcde", "a..b", "", ".."]),
            (r"^(?!\s*$).+", ["a", " a"], ["", "  "]),
            (r"^[a-z]([a-z]|-(?!-)){1,9}[a-z]$", ["a-b-c", "abc"], ["a--b", "ab-", "ab--c"]),
            (r"[\w-_/]*", ["a-b_c/", ""], ["a b"]),
            (r"(?:arn:[a-z-]+:)?x|y", ["x", "arn:aws-cn:x", "y"], ["arn:x"]),
        ):
            for text in yes:
                self.assertTrue(self.matches(text_pattern, text), (text_pattern, text))
            for text in no:
                self.assertFalse(self.matches(text_pattern, text), (text_pattern, text))


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--data", type=pathlib.Path, required=True)
    arguments.add_argument("--manifest", type=pathlib.Path, required=True)
    OPTIONS, rest = arguments.parse_known_args()
    unittest.main(argv=sys.argv[:1] + rest)
