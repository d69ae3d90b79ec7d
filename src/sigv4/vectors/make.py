"""Writes vectors.txt: signed requests with botocore as the oracle. Run with the project's Python; the output is committed.

A vector is lines "method", "target", "body" (hex), "token", "header NAME VALUE"…, "authorization", ended by "---".
"""
import datetime
import sys

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

FROZEN = datetime.datetime(2026, 3, 1, 12, 0, 0)
botocore.auth.get_current_datetime = lambda *a, **k: FROZEN

CASES = [
    ("POST", "/", b"{}", {"X-Amz-Target": "AmazonEC2ContainerServiceV20141113.ListClusters"}, "ecs", None),
    ("POST", "/", b'{"cluster": "caf\xc3\xa9"}', {"Content-Type": "application/x-amz-json-1.1"}, "ecs", None),
    ("POST", "/", b"Action=GetCallerIdentity&Version=2011-06-15", {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}, "sts", None),
    ("GET", "/?Action=GetCallerIdentity&Version=2011-06-15", b"", {}, "sts", None),
    ("GET", "/?b=2&a=1&a=0&empty=&%C3%A9=x%20y", b"", {}, "ecs", None),
    ("GET", "/a/./b/../c//d", b"", {}, "ecs", None),
    ("GET", "/sp%20ace/caf%C3%A9", b"", {}, "ecs", None),
    ("POST", "/", b"", {"My-Header": "  two   spaces  within "}, "ecs", None),
    ("POST", "/", b"{}", {}, "ecs", "session-token=="),
    ("POST", "/", b"x" * 3000, {}, "logs", None),
]


def main():
    out = []
    for method, target, body, headers, service, token in CASES:
        request = AWSRequest(method, "http://127.0.0.1:4566" + target, data=body, headers=headers)
        auth = botocore.auth.SigV4Auth(Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", token), service, "eu-central-1")
        auth.add_auth(request)
        prepared = request.prepare()
        out += [f"method {method}", f"target {target}", f"body {body.hex()}", f"service {service}", f"token {token or ''}",
                "header Host 127.0.0.1:4566"]
        for name, value in prepared.headers.items():
            value = value.decode() if isinstance(value, bytes) else value
            if name.lower() == "authorization":
                out.append(f"authorization {value}")
            elif name.lower() not in ("host", "content-length"):
                out.append(f"header {name} {value}")
        out.append("---")
    sys.stdout.write("\n".join(out) + "\n")


main()
