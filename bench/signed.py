"""Requests that are built and signed before the clock starts, for berth-load and for polling loops.

The signature is made by the few lines below, because botocore's own signer takes longer than some servers take to
answer; the first request of every file is checked against botocore's.
"""
import datetime
import hashlib
import hmac
import http.client
import json
import struct
import uuid

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

HOST = "127.0.0.1:4566"  # the same for every server, so that all of them get the same bytes; part of what is signed
SIGNED = "amz-sdk-invocation-id;content-type;host;x-amz-date;x-amz-target"
CONTENT_TYPE = "application/x-amz-json-1.1"
TARGETS = {"ecs": "AmazonEC2ContainerServiceV20141113", "logs": "Logs_20140328"}


class Signer:
    def __init__(self, access_key, secret_key, region, service):
        self.access_key, self.secret_key, self.region, self.service = access_key, secret_key, region, service
        self.day, self.key = None, None

    def _key(self, day):
        if day != self.day:
            key = ("AWS4" + self.secret_key).encode()
            for part in (day, self.region, self.service, "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self.day, self.key = day, key
        return self.key

    def headers(self, operation, body, now=None):
        moment = now or datetime.datetime.now(datetime.timezone.utc)
        date = moment.strftime("%Y%m%dT%H%M%SZ")
        invocation = str(uuid.uuid4())
        target = f"{TARGETS[self.service]}.{operation}"
        canonical = (f"POST\n/\n\namz-sdk-invocation-id:{invocation}\ncontent-type:{CONTENT_TYPE}\nhost:{HOST}\n"
                     f"x-amz-date:{date}\nx-amz-target:{target}\n\n{SIGNED}\n{hashlib.sha256(body).hexdigest()}")
        scope = f"{date[:8]}/{self.region}/{self.service}/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        signature = hmac.digest(self._key(date[:8]), text.encode(), "sha256").hex()
        return {
            "Host": HOST, "Content-Type": CONTENT_TYPE, "X-Amz-Target": target, "X-Amz-Date": date,
            "amz-sdk-invocation-id": invocation, "Content-Length": str(len(body)),
            "Authorization": f"AWS4-HMAC-SHA256 Credential={self.access_key}/{scope}, SignedHeaders={SIGNED}, "
                             f"Signature={signature}",
        }

    def request(self, operation, body):
        lines = "".join(f"{name}: {value}\r\n" for name, value in self.headers(operation, body).items())
        return f"POST / HTTP/1.1\r\n{lines}\r\n".encode() + body

    def check_against_botocore(self):
        body = b'{"taskDefinition":"family:1"}'
        ours = self.headers("DescribeTaskDefinition", body)
        request = AWSRequest("POST", f"http://{HOST}/", headers={
            name: ours[name] for name in ("Content-Type", "X-Amz-Target", "amz-sdk-invocation-id")}, data=body)

        class AtThatMoment(SigV4Auth):
            def _set_necessary_date_headers(self, to):
                to.headers["X-Amz-Date"] = ours["X-Amz-Date"]

            def add_auth(self, to):
                to.context["timestamp"] = ours["X-Amz-Date"]
                self._modify_request_before_signing(to)
                canonical = self.canonical_request(to)
                self._inject_signature_to_request(to, self.signature(self.string_to_sign(to, canonical), to))

        AtThatMoment(Credentials(self.access_key, self.secret_key), self.service, self.region).add_auth(request)
        assert request.headers["Authorization"] == ours["Authorization"], "the bench's signature is not botocore's"


def write_requests(path, signer, calls):
    """`calls`: (operation, body, text that the answer must hold). Returns how many."""
    signer.check_against_botocore()
    count = 0
    with open(path, "wb") as file:
        for operation, body, expected in calls:
            request = signer.request(operation, body)
            file.write(struct.pack("<II", len(request), len(expected)) + request + expected)
            count += 1
    return count


class Caller:
    """One keep-alive connection for polling loops: cheaper than boto3, so that looking disturbs less."""

    def __init__(self, port, signer):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.connection.connect()
        self.signer = signer

    def call(self, operation, **members):
        body = json.dumps(members).encode()
        self.connection.request("POST", "/", body=body, headers=self.signer.headers(operation, body))
        response = self.connection.getresponse()
        text = response.read()
        if response.status != 200:
            raise RuntimeError(f"{operation}: {response.status} {text[:300]!r}")
        return json.loads(text)

    def close(self):
        self.connection.close()
