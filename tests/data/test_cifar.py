"""The cache, against a small archive in CIFAR-10's own format served on this machine."""

import contextlib
import functools
import hashlib
import http.server
import io
import json
import pickle
import socket
import ssl
import tarfile
import threading
from urllib.error import HTTPError, URLError

import numpy as np
import pytest
import torchvision

from attnlib.data import cifar, load
from attnlib.data.cifar import DamagedDataError, MissingDataError
from attnlib.errors import UnknownNameError

PER_BATCH = 4
BATCHES = ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"]


class Archive:
    """Six batches and the names of the classes as CIFAR-10 packs them, and what must come out of them."""

    def __init__(self):
        rng = np.random.default_rng(0)
        members = {"batches.meta": {"label_names": [f"class {i}" for i in range(10)]}}
        self.images, self.labels = {}, {}
        for name in BATCHES:
            self.images[name] = rng.integers(0, 256, (PER_BATCH, 32, 32, 3), dtype=np.uint8)
            self.labels[name] = rng.integers(0, 10, PER_BATCH).tolist()
            planes = self.images[name].transpose(0, 3, 1, 2).reshape(PER_BATCH, -1)
            members[name] = {"data": planes, "labels": self.labels[name]}
        self.md5 = {}
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as tar:
            for name, content in members.items():
                data = pickle.dumps(content)
                self.md5[name] = hashlib.md5(data).hexdigest()
                member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
        self.bytes = packed.getvalue()

    def sums(self):
        """sha256 of images and labels of both splits."""
        sums = {}
        for split, names in (("train", BATCHES[:5]), ("test", BATCHES[5:])):
            images = np.concatenate([self.images[name] for name in names])
            labels = np.concatenate([np.array(self.labels[name], dtype=np.uint8) for name in names])
            sums[split] = tuple(hashlib.sha256(array.tobytes()).hexdigest() for array in (images, labels))
        return sums


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A folder served over HTTP, with torchvision told to look for CIFAR-10 there; gives (archive, served file)."""
    archive = Archive()
    folder = tmp_path / "served"
    folder.mkdir()
    file = folder / "cifar-10-python.tar.gz"
    file.write_bytes(archive.bytes)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    monkeypatch.setattr(http.server.SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    source = torchvision.datasets.CIFAR10
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(source, "url", f"http://127.0.0.1:{server.server_port}/{file.name}")
    monkeypatch.setattr(source, "tgz_md5", hashlib.md5(archive.bytes).hexdigest())
    monkeypatch.setattr(source, "train_list", [[name, archive.md5[name]] for name in BATCHES[:5]])
    monkeypatch.setattr(source, "test_list", [["test_batch", archive.md5["test_batch"]]])
    monkeypatch.setattr(cifar, "SUMS", {"cifar10": archive.sums()})
    monkeypatch.setattr(source, "meta", {**source.meta, "md5": archive.md5["batches.meta"]})
    yield archive, file
    server.shutdown()
    server.server_close()


@pytest.fixture
def cached(served, tmp_path):
    """A good cache; the server is there still."""
    cifar.fetch("cifar10", tmp_path / "root", progress=False)
    return tmp_path / "root"


def contents(folder):
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir()) if not file.name.endswith(".lock")}


def test_fetch_keeps_torchvisions_images_in_their_order(served, tmp_path, capsys):
    archive, _ = served
    root = tmp_path / "root"
    data = load("cifar10", "train", root)
    np.testing.assert_array_equal(data.images, np.concatenate([archive.images[name] for name in BATCHES[:5]]))
    assert data.labels.tolist() == sum((archive.labels[name] for name in BATCHES[:5]), [])
    assert data.labels.dtype == np.int64
    assert data.classes[3] == "class 3"
    assert isinstance(data.images, np.memmap)
    test = load("cifar10", "test", root, verify=True)
    np.testing.assert_array_equal(test.images, archive.images["test_batch"])
    assert [path.name for path in root.iterdir() if path.name != ".cifar10.lock"] == ["cifar10"]


def test_good_cache_is_not_downloaded_again(cached, served):
    before = contents(cached / "cifar10")
    served[1].unlink()
    cifar.fetch("cifar10", cached, progress=False)
    assert contents(cached / "cifar10") == before


@pytest.mark.parametrize("damage", ["half", "flipped"])
def test_damaged_download_is_refused_with_both_checksums(served, tmp_path, damage):
    archive, file = served
    half = len(archive.bytes) // 2
    middle = bytes([archive.bytes[half] ^ 1])
    damaged = archive.bytes[:half] + (b"" if damage == "half" else middle + archive.bytes[half + 1 :])
    file.write_bytes(damaged)
    expected, found = (hashlib.md5(data).hexdigest() for data in (archive.bytes, damaged))
    root = tmp_path / "root"
    with pytest.raises(DamagedDataError, match=f"expected md5 {expected}, found {found}"):
        cifar.fetch("cifar10", root, progress=False)
    assert contents(root) == {}
    file.write_bytes(archive.bytes)
    assert len(load("cifar10", "train", root)) == 5 * PER_BATCH


def test_fetch_starts_afresh_after_it_was_killed(served, tmp_path, monkeypatch):
    root = tmp_path / "root"
    with monkeypatch.context() as patch:

        def killed(*_):
            raise SystemExit

        patch.setattr(cifar, "write_text", killed)  # all arrays are in place, meta.json is not
        with pytest.raises(SystemExit):
            cifar.fetch("cifar10", root, progress=False)
    (root / ".cifar10.partial").mkdir()
    (root / ".cifar10.partial" / "cifar-10-python.tar.gz").write_bytes(b"half")
    (root / "cifar10" / ".train_images.npy.123.partial").write_bytes(b"half")
    assert cifar.info(root)[0].status == "absent"
    assert len(load("cifar10", "test", root)) == PER_BATCH
    assert not [*root.rglob("*.partial")]


def test_absent_and_offline_says_every_way_and_leaves_nothing(served, tmp_path, monkeypatch):
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "url", "http://127.0.0.1:1/cifar-10-python.tar.gz")
    with pytest.raises(MissingDataError, match=r"data fetch cifar10; or .* data import FILE; or copy .* ATTNLIB_DATA"):
        load("cifar10", "train", tmp_path / "root")
    assert contents(tmp_path / "root") == {}


def test_an_archive_fetched_by_hand_is_told_by_its_checksum(served, tmp_path, monkeypatch):
    archive, file = served
    by_hand = tmp_path / "download (1)"
    file.rename(by_hand)
    folder = cifar.import_archive(by_hand, tmp_path / "root")
    assert folder == tmp_path / "root" / "cifar10"
    data = load("cifar10", "test", tmp_path / "root", verify=True)
    np.testing.assert_array_equal(data.images, archive.images["test_batch"])
    assert by_hand.read_bytes() == archive.bytes
    assert {path.name for path in folder.parent.iterdir()} <= {"cifar10", ".cifar10.lock"}
    by_hand.write_bytes(archive.bytes[:100])
    with pytest.raises(DamagedDataError, match="has md5 .* and 100 bytes, and is none of .*cifar-100-python.tar.gz"):
        cifar.import_archive(by_hand, tmp_path / "other")
    with pytest.raises(FileNotFoundError, match="nothing.tar.gz is not there"):
        cifar.import_archive(tmp_path / "nothing.tar.gz", tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (URLError(ssl.SSLCertVerificationError("self-signed")), "certificate cannot be verified.*SSL_CERT_FILE"),
        (URLError(ssl.SSLError("EOF")), "encrypted connection broke off"),
        (
            URLError(OSError("Tunnel connection failed: 403 Forbidden")),
            r"the proxy refuses \(proxy:8080\); set HTTPS_PROXY",
        ),
        (HTTPError("url", 407, "Proxy Authentication Required", {}, None), "the proxy refuses"),
        (URLError("Name or service not known"), r"not known>\)\. Either connect to the network"),
    ],
)
def test_what_certificates_and_proxies_have_to_do_with_it_is_said(error, words, served, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise error

    monkeypatch.setenv("https_proxy", "http://me:secret@proxy:8080")
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "__init__", refuse)
    with pytest.raises(MissingDataError, match=words) as told:
        cifar.fetch("cifar10", tmp_path / "root", progress=False)
    assert "attnlib data import FILE" in str(told.value) and "secret" not in str(told.value)


def test_flipped_bit_is_found_by_verify_and_mended_by_fetch(cached, served):
    file = cached / "cifar10" / "train_images.npy"
    good = file.read_bytes()
    file.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    meta = json.loads((cached / "cifar10" / "meta.json").read_text())
    expected = meta["train"]["sha256_pixels_nhwc_uint8"]
    found = hashlib.sha256(np.load(file).tobytes()).hexdigest()
    with pytest.raises(DamagedDataError, match=f"expected sha256 {expected}, found {found}"):
        load("cifar10", "train", cached, verify=True)
    assert cifar.info(cached)[0].status == "complete"
    damaged = cifar.info(cached, verify=True)[0]
    assert damaged.status == "damaged"
    assert found in damaged.problem
    cifar.fetch("cifar10", cached, progress=False)
    assert file.read_bytes() == good


def test_failed_fetch_leaves_a_cache_as_it_was(cached, served):
    (cached / "cifar10" / "test_labels.npy").unlink()
    before = contents(cached / "cifar10")
    served[1].write_bytes(b"not an archive")
    with pytest.raises(DamagedDataError):
        cifar.fetch("cifar10", cached, progress=False)
    assert contents(cached / "cifar10") == before


def _cut(folder):
    file = folder / "train_images.npy"
    file.write_bytes(file.read_bytes()[:-100])


def _wrong_count(folder):
    np.save(folder / "train_images.npy", np.zeros((3, 32, 32, 3), dtype=np.uint8))


def _wrong_type(folder):
    np.save(folder / "train_images.npy", np.zeros((5 * PER_BATCH, 32, 32, 3), dtype=np.float32))


def _empty(folder):
    (folder / "train_images.npy").write_bytes(b"")


def _archive(folder):
    with open(folder / "train_labels.npy", "wb") as file:
        np.savez(file, np.zeros(20, dtype=np.uint8))


def _zeros(folder):
    labels = np.zeros(5 * PER_BATCH, dtype=np.uint8)
    np.save(folder / "train_labels.npy", labels)
    meta = json.loads((folder / "meta.json").read_text())
    meta["train"]["sha256_labels_uint8"] = hashlib.sha256(labels).hexdigest()
    (folder / "meta.json").write_text(json.dumps(meta))


def _no_field(folder):
    (folder / "meta.json").write_text(json.dumps({"classes": [], "train": {"n": 1}}))


def _no_json(folder):
    (folder / "meta.json").write_text("{")


def _no_table(folder):
    (folder / "meta.json").write_text("[]")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (_cut, "train_images.npy: expected an array with sha256 .* attnlib data fetch cifar10"),
        (_wrong_count, r"expected uint8 \(20, 32, 32, 3\) .* found uint8 \(3, 32, 32, 3\) with sha256"),
        (_wrong_type, r"found float32 \(20, 32, 32, 3\)"),
        (_empty, "cannot be read"),
        (_archive, "train_labels.npy.*cannot be read .an archive of arrays"),
        (_zeros, "meta.json: says that the train labels have sha256 .*; those of cifar10 have .* attnlib data fetch"),
        (_no_field, "meta.json: field train.sha256_pixels_nhwc_uint8: Field required"),
        (_no_json, "meta.json: Invalid JSON"),
        (_no_table, "meta.json: Input should be an object"),
    ],
)
def test_load_refuses_files_that_do_not_fit(cached, damage, reason):
    damage(cached / "cifar10")
    with pytest.raises(DamagedDataError, match=reason):
        load("cifar10", "train", cached)
    cifar.fetch("cifar10", cached, progress=False)
    load("cifar10", "train", cached, verify=True)


@pytest.mark.parametrize(
    "answer", [b"", b"SSH-2.0-hello\r\n", b"HTTP/1.0 200 OK\r\nContent-Length: 99\r\n\r\nhalf", None]
)
def test_a_server_that_stalls_or_speaks_otherwise_is_told(answer, tmp_path, monkeypatch):
    monkeypatch.setattr(cifar, "_PATIENCE", 0.3)
    monkeypatch.setenv("no_proxy", "*")
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(torchvision.datasets.CIFAR10, "url", f"http://127.0.0.1:{server.getsockname()[1]}/a.tar.gz")
        held = []

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    held.append(connection)  # open, so that nothing ends it
                    if answer is not None:
                        connection.recv(1000)
                        connection.sendall(answer)
                        connection.close()

        threading.Thread(target=serve, daemon=True).start()
        with pytest.raises((MissingDataError, DamagedDataError)) as caught:
            cifar.fetch("cifar10", tmp_path, progress=False)
    assert "attnlib data fetch cifar10" in str(caught.value)
    assert not list(tmp_path.glob("**/*.gz"))


def test_unknown_dataset_to_fetch():
    with pytest.raises(UnknownNameError, match="'cifar10' or 'cifar100'"):
        cifar.fetch("cifar")


def test_unwritable_root_is_said_before_the_download(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="cannot write into .* ATTNLIB_DATA"):
        cifar.fetch("cifar10", tmp_path / "file")


def test_environment_variable_names_the_root(tmp_path, monkeypatch):
    monkeypatch.setenv("ATTNLIB_DATA", str(tmp_path))
    assert cifar.data_root() == tmp_path
    assert cifar.data_root("elsewhere").name == "elsewhere"
    monkeypatch.delenv("ATTNLIB_DATA")
    assert cifar.data_root().parts[-2:] == ("attnlib", "data")
