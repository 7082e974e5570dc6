//! Which accounts and regions there are to be asked, and as whom.

use crate::organization::{discover_accounts, home_region};
use crate::principal::causes;
use crate::{Endpoints, Error, Https, Listing, Principal, Session};
use aws_config::SdkConfig;
use lestrade_model::{Clock, Scope};
use lestrade_wire::sts::GetCallerIdentityRequest;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::task::JoinSet;

/// Accounts that are entered at once: an organisation may have ten thousand.
const AT_ONCE: usize = 16;
/// What stands for an account's number in the name of a role.
const ACCOUNT: &str = "{account}";

/// What an estate is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EstateSettings {
    /// The regions; empty for that of the credentials' configuration.
    pub regions: Vec<String>,
    /// Accounts besides the credentials' own, twelve digits each.
    pub accounts: Vec<String>,
    /// Whether every account of the organisation is one, too.
    pub organization: bool,
    /// The name of the role that is taken on in those accounts, or its ARN. `{account}` stands for the account's number.
    pub role: String,
    /// The external id that the role asks for, if any.
    pub external_id: Option<String>,
}

/// The sessions of an estate: one for each account and region.
pub struct Estate {
    /// With whose resources each sees. The first is the credentials' own account in its first region.
    pub sessions: Vec<(Scope, Session<Https>)>,
    /// Accounts that could not be entered, with the reason.
    pub closed: Vec<(String, Error)>,
    /// Why the accounts of the organisation are not all known, where they are asked for.
    pub unlisted: Option<Error>,
    door: Door,
}

/// What accounts are entered with.
#[derive(Clone)]
struct Door {
    config: SdkConfig,
    https: Https,
    endpoints: Endpoints,
    clock: Arc<dyn Clock>,
    regions: Vec<String>,
    partition: String,
    home: String,
    own: Principal,
    role: String,
    external_id: Option<String>,
}

impl Door {
    fn open(&self, principal: &Principal, region: &str) -> Session<Https> {
        Session::new(self.https.clone(), self.endpoints.clone(), region, principal.clone(), Arc::clone(&self.clock))
    }

    /// The sessions of an account, one for each region.
    fn sessions(&self, account: &str, principal: &Principal) -> Result<Vec<(Scope, Session<Https>)>, Error> {
        let session = |region: &String| {
            let scope = Scope::new(&self.partition, account, region).map_err(|error| Error::Document(causes(&error)))?;
            Ok((scope, self.open(principal, region)))
        };
        self.regions.iter().map(session).collect()
    }

    /// Takes on the role of an account.
    async fn enter(self, account: String) -> (String, Result<Principal, Error>) {
        let role = Principal::role(&self.config, &role_arn(&self.role, &self.partition, &account), self.external_id.as_deref()).await;
        let entered = match identity(&self.open(&role, &self.regions[0])).await {
            Ok((_, entered)) if entered == account => Ok(role),
            Ok((_, found)) => Err(Error::WrongAccount { found, expected: account.clone() }),
            Err(error) => Err(error),
        };
        (account, entered)
    }
}

/// The ARN of the role that is taken on in an account.
fn role_arn(role: &str, partition: &str, account: &str) -> String {
    let role = role.replace(ACCOUNT, account);
    if role.starts_with("arn:") { role } else { format!("arn:{partition}:iam::{account}:role/{role}") }
}

impl Estate {
    /// Finds out who we are, and enters the accounts.
    ///
    /// # Errors
    /// When there are no credentials, or no region, or the credentials are not accepted.
    pub async fn enter(settings: &EstateSettings, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let config = aws_config::defaults(aws_config::BehaviorVersion::latest()).load().await;
        let configured = config.region().map(|region| region.as_ref().to_owned());
        let regions = match settings.regions.as_slice() {
            [] => vec![configured.ok_or_else(|| Error::Credentials("no region is configured: set AWS_REGION".to_owned()))?],
            regions => regions.to_vec(),
        };
        let variable = |name: &str| std::env::var(name).ok();
        let endpoints = Endpoints::of_environment(variable, config.endpoint_url())?;
        let own = Principal::of_chain(&config)?;
        let mut door = Door {
            config,
            https: Https::new()?,
            endpoints,
            clock,
            regions,
            partition: String::new(),
            home: String::new(),
            own,
            role: settings.role.clone(),
            external_id: settings.external_id.clone(),
        };
        (door.partition, door.home) = identity(&door.open(&door.own, &door.regions[0])).await?;
        let sessions = door.sessions(&door.home, &door.own)?;
        let mut estate = Self { sessions, closed: Vec::new(), unlisted: None, door };
        estate.renew(settings).await?;
        Ok(estate)
    }

    /// Enters the accounts that have come since, and those that could not be entered before; leaves those that a whole list of the
    /// organisation no longer names. Those that were entered stay so, with their credentials.
    ///
    /// # Errors
    /// When a region or an account has no name that ARNs could have.
    pub async fn renew(&mut self, settings: &EstateSettings) -> Result<(), Error> {
        let mut wanted: BTreeSet<String> = settings.accounts.iter().cloned().collect();
        self.unlisted = None;
        if settings.organization {
            let asked = self.door.open(&self.door.own, home_region(&self.door.partition));
            let Listing { items, missing } = discover_accounts(&asked).await;
            wanted.extend(items);
            self.unlisted = missing;
        }
        wanted.remove(&self.door.home);
        if self.unlisted.is_none() {
            let home = &self.door.home;
            self.sessions.retain(|(scope, _)| scope.account == *home || wanted.contains(&scope.account));
        }
        let new: Vec<String> =
            wanted.into_iter().filter(|account| !self.sessions.iter().any(|(scope, _)| scope.account == *account)).collect();
        self.closed.clear();
        for some in new.chunks(AT_ONCE) {
            let mut entering: JoinSet<(String, Result<Principal, Error>)> =
                some.iter().map(|account| self.door.clone().enter(account.clone())).collect();
            while let Some(entered) = entering.join_next().await {
                match entered {
                    Ok((account, Ok(role))) => self.sessions.extend(self.door.sessions(&account, &role)?),
                    Ok((account, Err(error))) => self.closed.push((account, error)),
                    Err(error) => return Err(Error::Document(error.to_string())),
                }
            }
        }
        // In the order of accounts, our own first: it asks for what all have in common.
        let home = &self.door.home;
        self.sessions.sort_by(|(a, _), (b, _)| (a.account != *home, &a.account).cmp(&(b.account != *home, &b.account)));
        self.closed.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(())
    }
}

/// The partition and the account of whoever asks.
async fn identity(session: &Session<Https>) -> Result<(String, String), Error> {
    let answer = session.call(&GetCallerIdentityRequest {}).await?;
    let partition = answer.arn.as_deref().and_then(|arn| arn.split(':').nth(1)).unwrap_or("aws").to_owned();
    let account = answer.account.filter(|account| !account.is_empty());
    Ok((partition, account.ok_or_else(|| Error::Document("GetCallerIdentity: the answer names no account".to_owned()))?))
}

#[cfg(test)]
mod tests {
    use super::role_arn;

    #[test]
    fn a_role_is_named_or_described() {
        for (role, arn) in [
            ("LestradeRead", "arn:aws:iam::111122223333:role/LestradeRead"),
            ("watch/lestrade-{account}", "arn:aws:iam::111122223333:role/watch/lestrade-111122223333"),
            ("arn:aws-cn:iam::{account}:role/x", "arn:aws-cn:iam::111122223333:role/x"),
        ] {
            assert_eq!(role_arn(role, "aws", "111122223333"), arn);
        }
    }
}
