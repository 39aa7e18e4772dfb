//! TLS to the receiver: whom to trust and how to identify this host. All files are read when the
//! settings are.

use std::{path::PathBuf, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer},
};

use super::error::SettingsError;
use crate::pem;

/// A file in PEM and the variable that names it.
#[derive(Clone, Debug)]
pub(super) struct PemFile {
    pub(super) variable: String,
    pub(super) path: PathBuf,
}

impl PemFile {
    fn wrong(&self, reason: impl Into<String>) -> SettingsError {
        SettingsError::new(&self.variable, &self.path.to_string_lossy(), reason)
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, SettingsError> {
        pem::certificates(&self.path).map_err(|reason| self.wrong(reason))
    }

    fn key(&self) -> Result<PrivateKeyDer<'static>, SettingsError> {
        pem::key(&self.path).map_err(|reason| self.wrong(reason))
    }
}

/// What the variables name.
#[derive(Clone, Debug)]
pub(super) struct Files {
    /// Certificates of authorities to trust; without it, those of the system.
    pub(super) roots: Option<PemFile>,
    /// This host's certificate, with those between it and the authority.
    pub(super) certificate: Option<PemFile>,
    /// Its private key.
    pub(super) key: Option<PemFile>,
}

/// Reads them.
pub(super) fn config(files: &Files) -> Result<ClientConfig, SettingsError> {
    let roots = match &files.roots {
        Some(file) => pem::roots(&file.path).map_err(|reason| file.wrong(reason))?,
        None => system_roots()?,
    };
    let builder = with_provider().with_root_certificates(roots);
    match (&files.certificate, &files.key) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(file), Some(key)) => builder
            .with_client_auth_cert(file.certificates()?, key.key()?)
            .map_err(|error| key.wrong(format!("not the key of {:?}: {error}", file.path))),
        (Some(file), None) => Err(file.wrong("its key is missing: set …_CLIENT_KEY too")),
        (None, Some(key)) => {
            Err(key.wrong("its certificate is missing: set …_CLIENT_CERTIFICATE too"))
        }
    }
}

/// For an endpoint that is not https://.
pub(super) fn unused() -> ClientConfig {
    with_provider().with_root_certificates(RootCertStore::empty()).with_no_client_auth()
}

fn with_provider() -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    builder
        .with_safe_default_protocol_versions()
        .expect("ring has the cipher suites of TLS 1.2 and 1.3")
}

fn system_roots() -> Result<RootCertStore, SettingsError> {
    let mut roots = RootCertStore::empty();
    let (added, _) =
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if added == 0 {
        let reason = "https:// needs certificates of authorities, and this system has none: name \
                      a file of them, or install the package ca-certificates";
        return Err(SettingsError::new("OTEL_EXPORTER_OTLP_CERTIFICATE", "", reason));
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::settings::Settings;

    const PLAIN: &str = "https://collector.example:4318";

    #[rstest]
    #[case("CERTIFICATE", None, "cannot be read: No such file")]
    #[case("CERTIFICATE", Some("no PEM"), "no certificate in PEM")]
    #[case(
        "CERTIFICATE",
        Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        "no authority's certificate"
    )]
    #[case("CLIENT_CERTIFICATE", Some("x"), "its key is missing")]
    #[case("CLIENT_KEY", Some("x"), "its certificate is missing")]
    fn a_file_that_cannot_be_used_is_named(
        #[case] what: &str,
        #[case] content: Option<&str>,
        #[case] reason: &str,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file.pem");
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
        }
        let path = path.to_str().unwrap().to_owned();
        let wanted = format!("OTEL_EXPORTER_OTLP_{what}");
        let error = Settings::new(Some(PLAIN), |name| (name == wanted).then(|| path.clone()));
        let error = error.unwrap_err().to_string();
        assert!(error.starts_with(&format!("{wanted} {path:?}: ")), "{error}");
        assert!(error.contains(reason), "{error}");
    }

    /// Files for a receiver without TLS are not looked at: nothing is lost by leaving them set.
    #[test]
    fn http_needs_no_certificates() {
        let settings = Settings::new(Some("http://a"), |name| {
            (name == "OTEL_EXPORTER_OTLP_CERTIFICATE").then(|| "/nonexistent".to_owned())
        });
        assert!(settings.unwrap().logs.tls.is_none());
    }
}
