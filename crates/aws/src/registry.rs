//! The login of the private registry.

use crate::{Error, Session};
use lestrade_model::Timestamp;
use lestrade_wire::Transport;
use lestrade_wire::ecr::GetAuthorizationTokenRequest;

/// A login that is good for some hours. Has no `Debug`: the password is never printed.
#[derive(Clone)]
pub struct RegistryLogin {
    /// The registry's host, and port if any.
    pub host: String,
    /// The name.
    pub user: String,
    /// The secret.
    pub password: String,
    /// When it ends.
    pub expires: Timestamp,
}

/// Asks for a login.
///
/// # Errors
/// When it is refused, or the answer holds none.
pub async fn registry_login<T: Transport + Clone>(session: &Session<T>) -> Result<RegistryLogin, Error> {
    let answer = session.call(&GetAuthorizationTokenRequest::default()).await?;
    let unusable = || Error::Document("GetAuthorizationToken: the answer holds no login".to_owned());
    let data = answer.authorization_data.into_iter().flatten().next().ok_or_else(unusable)?;
    let token =
        serde_json::from_value::<lestrade_wire::Blob>(data.authorization_token.unwrap_or_default().into()).map_err(|_| unusable())?;
    let text = String::from_utf8(token.0).map_err(|_| unusable())?;
    let (user, password) = text.split_once(':').ok_or_else(unusable)?;
    let address = data.proxy_endpoint.unwrap_or_default();
    let host = address.split_once("://").map_or(address.as_str(), |(_, host)| host).trim_end_matches('/');
    if host.is_empty() {
        return Err(unusable());
    }
    // An hour is less than any that is told.
    let expires = data.expires_at.map_or_else(|| session.clock().now().plus_millis(3_600_000), Timestamp::from);
    Ok(RegistryLogin { host: host.to_owned(), user: user.to_owned(), password: password.to_owned(), expires })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{self, Script};

    #[tokio::test]
    async fn a_login_is_read_and_anything_else_is_an_error() {
        let body =
            r#"{"authorizationData": [{"authorizationToken": "QVdTOnBhOnNz", "proxyEndpoint": "https://1.dkr.ecr.eu-west-1.example/"}]}"#;
        let login = registry_login(&script::session(&Script::of([script::ok(body)]))).await;
        let Ok(login) = login else { panic!("no login") };
        assert_eq!((login.host.as_str(), login.user.as_str(), login.password.as_str()), ("1.dkr.ecr.eu-west-1.example", "AWS", "pa:ss"));
        for body in ["{}", r#"{"authorizationData": [{"authorizationToken": "%%", "proxyEndpoint": "https://x"}]}"#] {
            assert!(registry_login(&script::session(&Script::of([script::ok(body)]))).await.is_err(), "{body}");
        }
    }
}
