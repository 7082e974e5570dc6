//! Who asks: keys that somebody gave, what the SDK's chain finds, or a role taken on with either.

use crate::Error;
use aws_config::SdkConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use lestrade_model::{Clock, Timestamp};
use lestrade_wire::sigv4::{Credentials, SecretKey};
use std::sync::Arc;
use tokio::sync::Mutex;

/// Credentials are asked for again this long before they end: a call that is signed with them must still arrive.
const MARGIN_MS: i64 = 5 * 60 * 1000;
/// What the sessions of roles are called in the account's own log.
const SESSION_NAME: &str = "lestrade";

/// See the module. Cloning shares what is cached.
#[derive(Clone)]
pub struct Principal(Source);

#[derive(Clone)]
enum Source {
    Fixed(Credentials),
    Chain { provider: SharedCredentialsProvider, cached: Arc<Mutex<Option<Cached>>> },
}

/// Credentials, and when they end if they do.
type Cached = (Credentials, Option<Timestamp>);

impl Principal {
    /// Keys that do not change.
    #[must_use]
    pub const fn fixed(credentials: Credentials) -> Self {
        Self(Source::Fixed(credentials))
    }

    /// Whoever the default chain of the SDK finds: the environment, a profile, a web identity, a container's or a machine's role.
    /// Nothing is asked yet.
    ///
    /// # Errors
    /// When the chain was configured away.
    pub fn of_chain(config: &SdkConfig) -> Result<Self, Error> {
        let provider = config.credentials_provider().ok_or_else(|| Error::Credentials("there is no chain of credentials".into()))?;
        Ok(Self::chain(provider))
    }

    /// A role that the chain's principal takes on.
    pub async fn role(config: &SdkConfig, arn: &str, external_id: Option<&str>) -> Self {
        let mut builder = AssumeRoleProvider::builder(arn).session_name(SESSION_NAME).configure(config);
        if let Some(id) = external_id {
            builder = builder.external_id(id);
        }
        Self::chain(SharedCredentialsProvider::new(builder.build().await))
    }

    fn chain(provider: SharedCredentialsProvider) -> Self {
        Self(Source::Chain { provider, cached: Arc::default() })
    }

    /// The credentials that are good now.
    ///
    /// # Errors
    /// When the chain finds none.
    pub async fn credentials(&self, clock: &dyn Clock) -> Result<Credentials, Error> {
        let (provider, cached) = match &self.0 {
            Source::Fixed(credentials) => return Ok(credentials.clone()),
            Source::Chain { provider, cached } => (provider, cached),
        };
        let mut cached = cached.lock().await;
        let now = clock.now().as_millis();
        if let Some((credentials, expiry)) = cached.as_ref()
            && expiry.is_none_or(|expiry| now < expiry.as_millis() - MARGIN_MS)
        {
            return Ok(credentials.clone());
        }
        let found = provider.provide_credentials().await.map_err(|error| Error::Credentials(causes(&error)))?;
        let credentials = Credentials {
            access_key: found.access_key_id().to_owned(),
            secret: SecretKey::new(found.secret_access_key().to_owned()),
            session_token: found.session_token().map(str::to_owned),
        };
        let expiry = found.expiry().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        let expiry = expiry.and_then(|since| i64::try_from(since.as_millis()).ok()).map(Timestamp::from_millis);
        *cached = Some((credentials.clone(), expiry));
        Ok(credentials)
    }
}

/// An error with its causes, of which the last says why.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}
