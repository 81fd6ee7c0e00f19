"""A server that speaks S3, for tests: one per module that asks, and a client of our own."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote, urlsplit
from uuid import uuid4

import boto3
import httpx
from moto.server import ThreadedMotoServer

KEY, SECRET, BUCKET = "AKIATEST", "secret/of+ours", "clinic"


@contextmanager
def running() -> Iterator["Bucket"]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield Bucket(f"http://{host}:{port}", server)
    finally:
        server.stop()


class Bucket:
    """A bucket that exists, and the addresses under which it can be registered."""

    def __init__(self, endpoint: str, server: ThreadedMotoServer) -> None:
        self.endpoint = endpoint
        self.server = server
        self.client = self._client("s3")
        self.client.create_bucket(Bucket=BUCKET)

    def _client(self, service: str):
        return boto3.client(
            service, endpoint_url=self.endpoint, region_name="us-east-1",
            aws_access_key_id=KEY, aws_secret_access_key=SECRET,
        )  # fmt: skip

    def address(self, prefix: str, *, key: str = KEY, secret: str = SECRET) -> str:
        login = f"{quote(key, safe='')}:{quote(secret, safe='')}"
        settings = f"endpoint_url={self.endpoint}&region=us-east-1"
        return f"s3://{login}@{BUCKET}/{prefix}?{settings}"

    def put(self, key: str, content: bytes) -> None:
        self.client.put_object(Bucket=BUCKET, Key=key, Body=content)

    def get(self, key: str) -> bytes:
        return self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def delete(self, key: str) -> None:
        self.client.delete_object(Bucket=BUCKET, Key=key)

    def listed(self) -> list[str]:
        listed = self.client.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        return [each["Key"] for each in listed]

    @contextmanager
    def as_reader(self, address: str) -> Iterator[str]:
        """Enforce rights for a while, and give the address as somebody who may only read has it."""
        iam, user = self._client("iam"), f"reader-{uuid4().hex}"
        iam.create_user(UserName=user)
        allowed = {"Effect": "Allow", "Action": ["s3:Get*", "s3:List*"], "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        iam.put_user_policy(UserName=user, PolicyName="read", PolicyDocument=policy)
        made = iam.create_access_key(UserName=user)["AccessKey"]
        self._enforce_after("0")
        try:
            prefix = urlsplit(address).path.removeprefix("/")
            yield self.address(prefix, key=made["AccessKeyId"], secret=made["SecretAccessKey"])
        finally:
            self._enforce_after("inf")

    def _enforce_after(self, actions: str) -> None:
        httpx.post(f"{self.endpoint}/moto-api/reset-auth", content=actions).raise_for_status()
