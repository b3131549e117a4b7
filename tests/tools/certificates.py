"""Certificates that sign, and C2PA's own reader."""

import datetime


def certificates(folder, algorithm="p256", age=0):
    """A certificate that a root made here vouches for: (chain, key) in files.

    They are valid from a day before to a day after a time that is `age` days past.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    makers = {
        "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "rsa": lambda: rsa.generate_private_key(65537, 2048),
        "ed25519": ed25519.Ed25519PrivateKey.generate,
        "k256": lambda: ec.generate_private_key(ec.SECP256K1()),
    }
    now = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=age)

    def named(word):
        rows = [(x509.NameOID.ORGANIZATION_NAME, "A painter"), (x509.NameOID.COMMON_NAME, word)]
        return x509.Name([x509.NameAttribute(*row) for row in rows])

    def made(word, key, issuer, its_key, root):
        purposes = {
            name: False
            for name in (
                "content_commitment",
                "key_encipherment",
                "data_encipherment",
                "key_agreement",
                "encipher_only",
                "decipher_only",
            )
        }
        usage = x509.KeyUsage(
            digital_signature=not root, key_cert_sign=root, crl_sign=root, **purposes
        )
        public = its_key.public_key()
        builder = (
            x509.CertificateBuilder(named(issuer), named(word), key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(root, None), True)
            .add_extension(usage, True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), False)
        )
        if not root:
            mail = x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.EMAIL_PROTECTION])
            builder = builder.add_extension(mail, False)
        return builder.sign(its_key, hashes.SHA256())

    root_key, key = makers["p256"](), makers[algorithm]()
    chain = [made("leaf", key, "root", root_key, False)]
    chain.append(made("root", root_key, "root", root_key, True))
    paths = folder / "chain.pem", folder / "key.pem"
    pem = serialization.Encoding.PEM
    paths[0].write_bytes(b"".join(each.public_bytes(pem) for each in chain))
    kind, bare = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    paths[1].write_bytes(key.private_bytes(pem, kind, bare))
    return paths


def read(path):
    """(state, manifest) by C2PA's reader."""
    import c2pa

    with c2pa.Reader(path) as reader:
        return reader.get_validation_state(), reader.get_active_manifest()
