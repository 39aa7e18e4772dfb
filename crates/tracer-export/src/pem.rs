//! Certificates and keys in files. They are read at the start, before privileges are given up and
//! the file system is closed; what is renewed needs a restart.

use std::{fs, path::Path};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

/// Longer files are not read, bytes: the roots of all systems together are shorter.
const LONGEST: u64 = 16 << 20;

/// The certificates in a file, or why there are none.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err("no certificate in PEM (-----BEGIN CERTIFICATE-----)".into()),
    }
}

/// The private key in a file.
pub(crate) fn key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(&read(path)?)
        .map_err(|_| "no private key in PEM (-----BEGIN PRIVATE KEY-----)".into())
}

/// The authorities whose certificates are in a file.
pub(crate) fn roots(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        let added = roots.add(certificate);
        added.map_err(|error| format!("no authority's certificate: {error}"))?;
    }
    Ok(roots)
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    match fs::metadata(path) {
        Ok(file) if !file.is_file() => return Err("not a file".into()),
        Ok(file) if file.len() > LONGEST => return Err("longer than 16 MiB".into()),
        _ => {}
    }
    fs::read(path).map_err(|error| format!("cannot be read: {error}"))
}
