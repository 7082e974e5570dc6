//! Which accounts and regions there are to be asked, and as whom.

use crate::principal::causes;
use crate::{Endpoints, Error, Https, Principal, Session};
use lestrade_model::{Clock, Scope};
use lestrade_wire::sts::GetCallerIdentityRequest;
use std::sync::Arc;

/// What an estate is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EstateSettings {
    /// The regions; empty for that of the credentials' configuration.
    pub regions: Vec<String>,
    /// Accounts besides the credentials' own, twelve digits each.
    pub accounts: Vec<String>,
    /// The name of the role that is taken on in those accounts.
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
        let https = Https::new()?;
        let open = |principal: &Principal, region: &String| {
            Session::new(https.clone(), endpoints.clone(), region, principal.clone(), Arc::clone(&clock))
        };
        let mut estate = Self { sessions: Vec::new(), closed: Vec::new() };
        let own = Principal::of_chain(&config)?;
        let (partition, home) = identity(&open(&own, &regions[0])).await?;
        estate.add(&partition, &home, &regions, |region| open(&own, region))?;
        for account in settings.accounts.iter().filter(|account| **account != home) {
            let arn = format!("arn:{partition}:iam::{account}:role/{}", settings.role);
            let role = Principal::role(&config, &arn, settings.external_id.as_deref()).await;
            match identity(&open(&role, &regions[0])).await {
                Ok((_, entered)) if entered == *account => estate.add(&partition, account, &regions, |region| open(&role, region))?,
                Ok((_, found)) => estate.closed.push((account.clone(), Error::WrongAccount { found, expected: account.clone() })),
                Err(error) => estate.closed.push((account.clone(), error)),
            }
        }
        Ok(estate)
    }

    fn add(&mut self, partition: &str, account: &str, regions: &[String], open: impl Fn(&String) -> Session<Https>) -> Result<(), Error> {
        for region in regions {
            let scope = Scope::new(partition, account, region).map_err(|error| Error::Document(causes(&error)))?;
            self.sessions.push((scope, open(region)));
        }
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
