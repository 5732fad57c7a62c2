"""The folder of certificate authorities holds what certifi's file holds, where OpenSSL finds it."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
import zipfile
from pathlib import Path

import certifi
import pytest

from functions.shared import tls
from ops.bundles import LAMBDA, build
from ops.bundles.authorities import write_folder
from ops.bundles.builder import AUTHORITIES
from ops.bundles.contents import BUNDLES
from ops.local.loopback import LOOPBACK
from tests.functions.postgres_proxy import certificate

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("trusted") / "authorities"
    write_folder(Path(certifi.where()), made)
    return made


def certificates(text: str) -> set[bytes]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=text)
    return set(context.get_ca_certs(binary_form=True))


def test_each_authority_has_the_name_that_openssl_looks_for(folder: Path) -> None:
    for path in folder.iterdir():
        command = ["openssl", "x509", "-noout", "-subject_hash", "-in", str(path)]
        hashed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
        assert path.stem == hashed


@pytest.mark.parametrize("bundle", BUNDLES)
def test_a_bundle_trusts_every_authority_of_certifi(bundle: str) -> None:
    with zipfile.ZipFile(build(LAMBDA)[bundle].path) as archive:
        names = [name for name in archive.namelist() if name.startswith(f"{AUTHORITIES}/")]
        held = [archive.read(name).decode() for name in names]
    expected = certificates(Path(certifi.where()).read_text(encoding="utf-8"))
    assert set().union(*map(certificates, held)) == expected
    assert len(held) == len(expected) > 100
    assert {Path(name).parent for name in names} == {Path(AUTHORITIES)}
    assert Path(AUTHORITIES) == tls.AUTHORITIES.relative_to(tls.AUTHORITIES.parents[2])


@pytest.mark.parametrize("subject", ["/CN=bench", "/C=FR/O= Ex\u00e4mple  CA/OU=A+OU=b/CN=\u65e5\u672c"])
def test_connections_trust_what_is_in_the_folder_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subject: str
) -> None:
    made, key = certificate(tmp_path, f"IP:{LOOPBACK}", subject)
    write_folder(made, tmp_path / "trusted")
    (tmp_path / "empty").mkdir()
    assert connects(made, key, tmp_path / "trusted", monkeypatch)
    assert not connects(made, key, tmp_path / "empty", monkeypatch)


def connects(made: Path, key: Path, trusted: Path, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the functions' context trusts a server with a certificate."""
    monkeypatch.setattr(tls, "AUTHORITIES", trusted)
    tls.context.cache_clear()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made, key)
    with socket.create_server((LOOPBACK, 0)) as listener:
        thread = threading.Thread(target=_serve, args=(listener, context))
        thread.start()
        try:
            with (
                socket.create_connection(listener.getsockname()) as plain,
                tls.context().wrap_socket(plain, server_hostname=LOOPBACK) as encrypted,
            ):
                return encrypted.recv(1) == b"x"
        except ssl.SSLCertVerificationError:
            return False
        finally:
            thread.join()
            tls.context.cache_clear()


def _serve(listener: socket.socket, context: ssl.SSLContext) -> None:
    accepted, _ = listener.accept()
    try:
        with context.wrap_socket(accepted, server_side=True) as encrypted:
            encrypted.sendall(b"x")
    except OSError:
        accepted.close()
