//! Who may read the metrics, by name and password (RFC 7617). The passwords are known as hashes of
//! bcrypt, which takes a tenth of a second on purpose: what was right once is remembered, and
//! guesses wait for each other, so that they take a fifth of one processor at most.

use std::{
    collections::BTreeMap,
    str::FromStr as _,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bcrypt::HashParts;
use hyper::header::HeaderValue;
use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};

/// A higher cost takes longer than a scraper waits (each one more, twice as long).
const COSTLIEST: u32 = 14;
/// Of no password: it is tried for users that do not exist, so that the time does not tell.
const NOBODY: &str = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi";
/// A guess is followed by a pause so many times as long.
const REST: u32 = 4;

/// Users and the hashes of their passwords; everybody may read where there are none.
#[derive(Debug, Default)]
pub(super) struct Users {
    hashes: BTreeMap<String, String>,
    /// By user, the digest of what was right last.
    right: Mutex<BTreeMap<String, [u8; SHA256_OUTPUT_LEN]>>,
    turn: tokio::sync::Mutex<()>,
}

impl Users {
    pub(super) fn new(hashes: BTreeMap<String, String>) -> Result<Self, String> {
        for (user, hash) in &hashes {
            let wrong = |reason: String| format!("basic_auth_users: {user}: {reason}");
            let parts = HashParts::from_str(hash);
            let parts = parts.map_err(|_| wrong("no hash of bcrypt (htpasswd -nB)".into()))?;
            if parts.get_cost() > COSTLIEST {
                let cost = parts.get_cost();
                return Err(wrong(format!("its cost is {cost}, and may be {COSTLIEST} at most")));
            }
        }
        Ok(Self { hashes, ..Self::default() })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Whether the header `Authorization` of a request names one of them and its password.
    pub(super) async fn allow(&self, header: Option<&HeaderValue>) -> bool {
        if self.is_empty() {
            return true;
        }
        let Some((user, password)) = header.and_then(credentials) else { return false };
        let given = digest(&SHA256, &password);
        if self.is_right(&user, given.as_ref()) {
            return true;
        }
        let _turn = self.turn.lock().await;
        if self.is_right(&user, given.as_ref()) {
            return true;
        }
        let known = self.hashes.get(&user);
        let hash = known.map_or(NOBODY, String::as_str).to_owned();
        let begun = Instant::now();
        let check = tokio::task::spawn_blocking(move || bcrypt::verify(password, &hash));
        let is_right = known.is_some() && matches!(check.await, Ok(Ok(true)));
        if is_right && let Ok(given) = given.as_ref().try_into() {
            self.right.lock().unwrap_or_else(PoisonError::into_inner).insert(user, given);
        } else {
            tokio::time::sleep(begun.elapsed() * REST).await;
        }
        is_right
    }

    fn is_right(&self, user: &str, digest: &[u8]) -> bool {
        let right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        right.get(user).is_some_and(|known| known == digest)
    }
}

/// User and password.
fn credentials(header: &HeaderValue) -> Option<(String, Vec<u8>)> {
    let (scheme, encoded) = header.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = BASE64_STANDARD.decode(encoded.trim()).ok()?;
    let colon = decoded.iter().position(|&byte| byte == b':')?;
    let user = String::from_utf8(decoded[..colon].to_vec()).ok()?;
    Some((user, decoded[colon + 1..].to_vec()))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(None, false)]
    #[case(Some("anna:secret"), true)]
    // Twice: what is remembered is right too, and for its user only.
    #[case(Some("anna:secret"), true)]
    #[case(Some("berta:secret"), false)]
    #[case(Some("anna:wrong"), false)]
    #[case(Some("anna:"), false)]
    #[case(Some("nobody:secret"), false)]
    #[case(Some("anna"), false)]
    fn only_users_with_their_passwords_are_allowed(
        #[case] given: Option<&str>,
        #[case] allowed: bool,
    ) {
        let hash = |password: &str| bcrypt::hash(password, 4).unwrap();
        let hashes = [("anna", hash("secret")), ("berta", hash("other"))];
        let users = Users::new(hashes.map(|(user, hash)| (user.to_owned(), hash)).into()).unwrap();
        let header = |given: &str| {
            let encoded = BASE64_STANDARD.encode(given);
            HeaderValue::from_str(&format!("Basic {encoded}")).unwrap()
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            assert!(users.allow(Some(&header("anna:secret"))).await);
            assert_eq!(users.allow(given.map(header).as_ref()).await, allowed);
        });
    }
}
