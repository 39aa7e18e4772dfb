//! Who may read the metrics, and over what: the web configuration of Prometheus's exporters
//! (<https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md>), as far
//! as it is of use here. What is not known here is refused: a restriction that is passed over would
//! be none.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{ServerConfig, crypto::ring, server::WebPkiClientVerifier, version};
use serde::Deserialize;

use super::users::Users;
use crate::pem;

/// How the endpoint is protected; by default not at all.
#[derive(Clone, Debug, Default)]
pub struct Web {
    pub(super) tls: Option<Arc<ServerConfig>>,
    pub(super) users: Arc<Users>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    tls_server_config: Option<Tls>,
    basic_auth_users: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tls {
    cert_file: PathBuf,
    key_file: PathBuf,
    #[serde(default)]
    client_auth_type: ClientAuth,
    client_ca_file: Option<PathBuf>,
    #[serde(default)]
    min_version: MinVersion,
}

/// Without those that take a certificate and do not look at it.
#[derive(Clone, Copy, Default, Deserialize, PartialEq, Eq)]
enum ClientAuth {
    #[default]
    NoClientCert,
    VerifyClientCertIfGiven,
    RequireAndVerifyClientCert,
}

#[derive(Clone, Copy, Default, Deserialize)]
enum MinVersion {
    #[default]
    TLS12,
    TLS13,
}

impl Web {
    /// Reads the text of a configuration; files that it names are beside it, in `directory`.
    ///
    /// # Errors
    ///
    /// What is wrong with it, by key.
    pub fn parse(text: &str, directory: &Path) -> Result<Self, String> {
        let file: Option<File> = serde_yaml_ng::from_str(text).map_err(|error| {
            let text = error.to_string();
            text.lines().next().unwrap_or_default().to_owned()
        })?;
        let File { tls_server_config, basic_auth_users } = file.unwrap_or_default();
        Ok(Self {
            tls: tls_server_config.map(|tls| tls.config(directory)).transpose()?.map(Arc::new),
            users: Arc::new(Users::new(basic_auth_users)?),
        })
    }
}

impl Tls {
    fn config(&self, directory: &Path) -> Result<ServerConfig, String> {
        let wrong = |key: &'static str, path: &Path| {
            let path = path.to_owned();
            move |reason| format!("tls_server_config: {key} {path:?}: {reason}")
        };
        let (certificate, key) = (directory.join(&self.cert_file), directory.join(&self.key_file));
        let chain = pem::certificates(&certificate).map_err(wrong("cert_file", &certificate))?;
        let secret = pem::key(&key).map_err(wrong("key_file", &key))?;
        let provider = Arc::new(ring::default_provider());
        let versions: &[_] = match self.min_version {
            MinVersion::TLS12 => &[&version::TLS12, &version::TLS13],
            MinVersion::TLS13 => &[&version::TLS13],
        };
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .expect("ring has the cipher suites of TLS 1.2 and 1.3");
        let config = match (self.client_auth_type, &self.client_ca_file) {
            (ClientAuth::NoClientCert, None) => config.with_no_client_auth(),
            (ClientAuth::NoClientCert, Some(_)) => {
                return Err("tls_server_config: client_ca_file has no effect without \
                            client_auth_type: RequireAndVerifyClientCert"
                    .into());
            }
            (_, None) => {
                return Err("tls_server_config: client_auth_type needs client_ca_file".into());
            }
            (kind, Some(path)) => {
                let path = directory.join(path);
                let roots = pem::roots(&path).map_err(wrong("client_ca_file", &path))?;
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let optional = kind == ClientAuth::VerifyClientCertIfGiven;
                let verifier = if optional { verifier.allow_unauthenticated() } else { verifier };
                let verifier = verifier.build().map_err(|error| error.to_string());
                config.with_client_cert_verifier(verifier.map_err(wrong("client_ca_file", &path))?)
            }
        };
        let config = config.with_single_cert(chain, secret).map_err(|error| error.to_string());
        let mut config = config.map_err(wrong("key_file", &key))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("http_server_config: {http2: true}", "unknown field `http_server_config`")]
    #[case("tls_server_config: {cert_file: a}", "missing field `key_file`")]
    #[case(
        "tls_server_config: {cert_file: a, key_file: b}",
        "tls_server_config: cert_file \"/nonexistent/a\": cannot be read"
    )]
    #[case(
        "tls_server_config: {cert_file: a, key_file: b, client_auth_type: RequireAnyClientCert}",
        "unknown variant `RequireAnyClientCert`"
    )]
    #[case("basic_auth_users: {anna: secret}", "basic_auth_users: anna: no hash of bcrypt")]
    #[case(
        "basic_auth_users: {anna: $2y$31$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi}",
        "basic_auth_users: anna: its cost is 31"
    )]
    #[case("- a", "invalid type")]
    fn what_cannot_be_used_is_said_by_key(#[case] text: &str, #[case] reason: &str) {
        let error = Web::parse(text, Path::new("/nonexistent")).unwrap_err();
        assert!(error.contains(reason) && !error.contains('\n'), "{error}");
    }

    #[test]
    fn an_empty_file_protects_nothing() {
        let web = Web::parse("# nothing\n", Path::new("/")).unwrap();
        assert!(web.tls.is_none() && web.users.is_empty());
    }
}
