//! With whose credentials a target's calls are signed: keys that are named, what the SDK's chain finds (a profile, a web identity, the
//! role of a container or a machine), or a role that is taken on with either.

use super::call::Caller;
use crate::Principal;
use aws_config::BehaviorVersion;
use lestrade_events::{DeliveryError, Secrets};
use lestrade_model::{Clock, Timestamp};
use lestrade_wire::sigv4::{Credentials, SecretKey};
use lestrade_wire::sts::AssumeRoleRequest;
use std::sync::{Mutex, PoisonError};
use tokio::runtime::{Builder, Runtime};

/// A role is taken on anew this long before its time ends.
const MARGIN_MS: i64 = 5 * 60 * 1000;

/// See the module.
pub(super) enum Keys {
    /// Keys that do not change.
    Fixed(Credentials),
    /// The SDK's chain; asked at the first call.
    Chain(Mutex<Option<(Runtime, Principal)>>),
    /// A role, taken on by a caller of STS.
    Role { arn: String, sts: Box<Caller>, entered: Mutex<Option<(Credentials, Timestamp)>> },
}

impl Keys {
    /// Named keys, else those of the environment, else the chain.
    pub(super) fn find(access_key: Option<&str>, secret_key: Option<&str>, secrets: &dyn Secrets) -> Result<Self, String> {
        let of = |reference: &str| secrets.resolve(reference).map(|secret| secret.expose().to_owned());
        let fixed =
            |access_key, secret, session_token| Self::Fixed(Credentials { access_key, secret: SecretKey::new(secret), session_token });
        match (access_key, secret_key) {
            (Some(access), Some(secret)) => Ok(fixed(of(access)?, of(secret)?, None)),
            (None, None) => Ok(match (of("env:AWS_ACCESS_KEY_ID"), of("env:AWS_SECRET_ACCESS_KEY")) {
                (Ok(access), Ok(secret)) => fixed(access, secret, of("env:AWS_SESSION_TOKEN").ok()),
                _ => Self::Chain(Mutex::default()),
            }),
            _ => Err("access-key and secret-key belong together".into()),
        }
    }

    /// A role that a caller of STS takes on.
    pub(super) fn role(arn: &str, sts: Caller) -> Result<Self, String> {
        if !arn.starts_with("arn:") || !arn.contains(":role/") {
            return Err("role: it is like arn:aws:iam::123456789012:role/NAME".into());
        }
        Ok(Self::Role { arn: arn.to_owned(), sts: Box::new(sts), entered: Mutex::default() })
    }

    /// The credentials that are good now.
    pub(super) fn now(&self, clock: &dyn Clock) -> Result<Credentials, DeliveryError> {
        match self {
            Self::Fixed(credentials) => Ok(credentials.clone()),
            Self::Chain(found) => of_chain(found, clock),
            Self::Role { arn, sts, entered } => {
                let mut entered = entered.lock().unwrap_or_else(PoisonError::into_inner);
                let now = clock.now();
                if let Some((credentials, until)) = entered.as_ref()
                    && until.as_millis() - MARGIN_MS > now.as_millis()
                {
                    return Ok(credentials.clone());
                }
                let taken = enter(arn, sts, now)?;
                *entered = Some(taken.clone());
                Ok(taken.0)
            }
        }
    }
}

fn of_chain(found: &Mutex<Option<(Runtime, Principal)>>, clock: &dyn Clock) -> Result<Credentials, DeliveryError> {
    let missing = |reason: String| DeliveryError::retry(format!("no credentials: {reason}"));
    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
    if found.is_none() {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| missing(error.to_string()))?;
        let config = runtime.block_on(aws_config::defaults(BehaviorVersion::latest()).load());
        let principal = Principal::of_chain(&config).map_err(|error| missing(error.to_string()))?;
        *found = Some((runtime, principal));
    }
    let Some((runtime, principal)) = found.as_ref() else { return Err(missing("there is no chain".into())) };
    runtime.block_on(principal.credentials(clock)).map_err(|error| missing(error.to_string()))
}

fn enter(arn: &str, sts: &Caller, now: Timestamp) -> Result<(Credentials, Timestamp), DeliveryError> {
    let request = AssumeRoleRequest {
        role_arn: arn.to_owned(),
        role_session_name: "lestrade-target".to_owned(),
        policy_arns: None,
        policy: None,
        duration_seconds: None,
        tags: None,
        transitive_tag_keys: None,
        external_id: None,
        serial_number: None,
        token_code: None,
        source_identity: None,
        provided_contexts: None,
        minimum_session_token_size: None,
    };
    let role = sts.call(&request)?.credentials.ok_or_else(|| DeliveryError::retry("AssumeRole: no credentials came"))?;
    let credentials = Credentials {
        access_key: role.access_key_id,
        secret: SecretKey::new(role.secret_access_key),
        session_token: Some(role.session_token),
    };
    Ok((credentials, Timestamp::from(role.expiration).max(now)))
}
