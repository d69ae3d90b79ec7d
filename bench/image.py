"""The bench's container image as an OCI layout, written by hand: one layer, one file."""
import gzip
import hashlib
import io
import json
import tarfile

NAME = "berth-bench/now:1"


def write_oci_layout(directory, program):
    """Makes DIRECTORY an OCI layout with the tag "1". Returns what `berth image load` takes."""
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def put(content, media_type):
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

    tar_bytes = io.BytesIO()
    with tarfile.open(fileobj=tar_bytes, mode="w") as tar:
        entry = tarfile.TarInfo("now")
        content = program.read_bytes()
        entry.size, entry.mode = len(content), 0o755
        tar.addfile(entry, io.BytesIO(content))
    layer = put(gzip.compress(tar_bytes.getvalue(), mtime=0), "application/vnd.oci.image.layer.v1.tar+gzip")
    config = put(json.dumps({
        "architecture": "amd64", "os": "linux", "config": {"Entrypoint": ["/now"]},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(tar_bytes.getvalue()).hexdigest()]},
    }).encode(), "application/vnd.oci.image.config.v1+json")
    manifest = put(json.dumps({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config,
        "layers": [layer]}).encode(), "application/vnd.oci.image.manifest.v1+json")
    manifest["annotations"] = {"org.opencontainers.image.ref.name": "1"}
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return f"oci:{directory}:1"
