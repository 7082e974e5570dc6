//! One account in one region, as one principal sees it: signed calls, paced, asked again, over all their pages.

use crate::{Buckets, Endpoints, Error, Listing, Principal, Retry};
use lestrade_events::{Rate, TokenBucket};
use lestrade_model::Clock;
use lestrade_wire::sigv4::Credentials;
use lestrade_wire::{Client, Request, Service, Shape, Transport, s3};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// No account has as many pages; a service that gives more is broken.
const MOST_PAGES: usize = 10_000;
/// Calls of one service: well under what the tightest of them refills (20 a second), with their burst.
const PACE: Rate = Rate { per_second: 15.0, burst: 50.0 };
/// How pages are continued: the member that asks, and the one that answers.
const TOKENS: [(&str, &str); 3] = [("NextToken", "NextToken"), ("nextToken", "nextToken"), ("Marker", "NextMarker")];

/// See the module. Cloning shares the connections, the credentials and the pace.
#[derive(Clone)]
pub struct Session<T> {
    transport: T,
    principal: Principal,
    region: String,
    endpoints: Endpoints,
    clock: Arc<dyn Clock>,
    retry: Retry,
    pace: Arc<Mutex<HashMap<&'static str, TokenBucket>>>,
}

impl<T: Transport + Clone> Session<T> {
    /// A session; nothing is asked yet.
    pub fn new(transport: T, endpoints: Endpoints, region: &str, principal: Principal, clock: Arc<dyn Clock>) -> Self {
        Self { transport, principal, region: region.to_owned(), endpoints, clock, retry: Retry::default(), pace: Arc::default() }
    }

    /// The same, asking again in another manner.
    #[must_use]
    pub const fn retrying(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// The region that is asked.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The clock.
    pub(crate) fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    /// The buckets of the region, as the same principal sees them.
    pub(crate) fn buckets(&self) -> Buckets<T> {
        Buckets {
            transport: self.transport.clone(),
            endpoint: self.endpoints.named(s3::ENDPOINT, &self.region),
            region: self.region.clone(),
            principal: self.principal.clone(),
            clock: Arc::clone(&self.clock),
            retry: self.retry,
        }
    }

    /// The credentials that are good now.
    pub(crate) async fn credentials(&self) -> Result<Credentials, Error> {
        self.principal.credentials(self.clock.as_ref()).await
    }

    /// Calls an operation.
    ///
    /// # Errors
    /// When there are no credentials, or no answer that another attempt would change.
    pub async fn call<R: Request>(&self, input: &R) -> Result<R::Response, Error> {
        let operation = R::OPERATION.name();
        let malformed = |error: serde_json::Error| Error::Call { operation, source: lestrade_wire::Error::Malformed(error.to_string()) };
        let input = serde_json::to_value(input).map_err(malformed)?;
        serde_json::from_value(self.ask(R::OPERATION, &input).await?).map_err(malformed)
    }

    /// Calls an operation by its data.
    ///
    /// # Errors
    /// When there are no credentials, or no answer that another attempt would change.
    pub async fn ask<S: Service>(&self, operation: S, input: &Value) -> Result<Value, Error> {
        let mut attempt = 0;
        loop {
            self.wait_for_turn(S::ENDPOINT).await;
            // Asked for each attempt: what has run out meanwhile is renewed.
            let credentials = self.credentials().await?;
            let client = Client {
                transport: self.transport.clone(),
                endpoint: self.endpoints.of::<S>(&self.region),
                region: self.region.clone(),
                credentials,
                clock: Arc::clone(&self.clock),
            };
            match client.ask(operation, input).await {
                Ok(answer) => return Ok(answer),
                Err(error) => match self.retry.pause(attempt, &error) {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => return Err(Error::Call { operation: operation.name(), source: error }),
                },
            }
            attempt += 1;
        }
    }

    async fn wait_for_turn(&self, service: &'static str) {
        loop {
            let taken = {
                let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
                pace.entry(service).or_insert_with(|| TokenBucket::new(PACE)).take(1, self.clock.now())
            };
            match taken {
                Ok(_) => return,
                Err(pause) => tokio::time::sleep(pause).await,
            }
        }
    }

    /// All items of a list over all its pages, in `member` of each answer. What came before a page that did not come is kept.
    pub async fn list<S: Service>(&self, operation: S, mut input: Value, member: &str) -> Listing<Value> {
        let name = operation.name();
        let has = |shape: &Shape, member: &str| shape.members().iter().any(|known| known.name == member);
        let token = TOKENS.into_iter().find(|(asks, answers)| has(operation.input(), asks) && has(operation.output(), answers));
        let mut listing = Listing { items: Vec::new(), missing: None };
        let mut last = String::new();
        for _ in 0..MOST_PAGES {
            let mut answer = match self.ask(operation, &input).await {
                Ok(answer) => answer,
                Err(error) => return Listing { missing: Some(error), ..listing },
            };
            if let Value::Array(items) = answer[member].take() {
                listing.items.extend(items);
            }
            let next = token.and_then(|(asks, answers)| Some((asks, answer[answers].as_str().filter(|next| !next.is_empty())?)));
            let Some((asks, next)) = next else { return listing };
            if next == last {
                break;
            }
            next.clone_into(&mut last);
            input[asks] = next.into();
        }
        Listing { missing: Some(Error::EndlessPages { operation: name }), ..listing }
    }

    /// The same, each item as its type.
    pub async fn list_typed<S: Service, I: DeserializeOwned>(&self, operation: S, input: Value, member: &str) -> Listing<I> {
        let Listing { items, mut missing } = self.list(operation, input, member).await;
        let mut typed = Vec::with_capacity(items.len());
        for item in items {
            match serde_json::from_value(item) {
                Ok(item) => typed.push(item),
                Err(error) => {
                    let source = lestrade_wire::Error::Malformed(error.to_string());
                    missing.get_or_insert(Error::Call { operation: operation.name(), source });
                }
            }
        }
        Listing { items: typed, missing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{self, Script};
    use lestrade_wire::ec2::Api;
    use serde_json::json;

    async fn groups(script: &Script) -> Listing<Value> {
        script::session(script).list(Api::DescribeSecurityGroups, json!({"MaxResults": 5}), "SecurityGroups").await
    }

    #[tokio::test]
    async fn pages_are_followed_to_the_end() {
        let script = Script::of([script::ok(&script::groups(&["sg-1"], "two")), script::ok(&script::groups(&["sg-2", "sg-3"], ""))]);
        let listing = groups(&script).await;
        assert!(listing.missing.is_none());
        assert_eq!(listing.items.iter().filter_map(|g| g["GroupId"].as_str()).collect::<Vec<_>>(), ["sg-1", "sg-2", "sg-3"]);
        let sent = script.sent();
        assert!(!sent[0].contains("NextToken") && sent[1].contains("&NextToken=two"), "{sent:?}");
        assert!(sent[0].starts_with("Action=DescribeSecurityGroups&Version=2016-11-15"));
    }

    #[tokio::test]
    async fn a_busy_service_is_asked_again_and_a_refusal_is_not() {
        let script = Script::of([script::refused(503, "RequestLimitExceeded"), script::ok(&script::groups(&["sg-1"], ""))]);
        assert_eq!(groups(&script).await.items.len(), 1);

        let script = Script::of([script::refused(403, "UnauthorizedOperation")]);
        let listing = groups(&script).await;
        assert!(listing.items.is_empty());
        assert_eq!(listing.missing.unwrap().to_string(), "DescribeSecurityGroups: UnauthorizedOperation (HTTP 403): no");
        assert_eq!(script.sent().len(), 1);
    }

    /// One account's calls of one service wait for each other, whoever makes them; those of another service do not.
    #[tokio::test]
    async fn calls_of_a_service_are_paced() {
        let burst = PACE.burst as usize;
        let script = Script::of((0..burst + 1).map(|_| script::ok(&script::groups(&["sg-1"], ""))));
        let session = script::session(&script);
        for _ in 0..burst {
            assert_eq!(session.clone().list(Api::DescribeSecurityGroups, json!({}), "SecurityGroups").await.items.len(), 1);
        }
        let one_more = session.clone();
        tokio::select! {
            biased;
            _ = one_more.list(Api::DescribeSecurityGroups, json!({}), "SecurityGroups") => panic!("it did not wait for its turn"),
            () = std::future::ready(()) => {}
        }
        let _ = session.list(lestrade_wire::elbv2::Api::DescribeLoadBalancers, json!({}), "LoadBalancers").await;
        assert_eq!(script.sent().len(), burst + 1);
    }

    #[tokio::test]
    async fn a_lost_page_leaves_what_came_before_it() {
        let script = Script::of([script::ok(&script::groups(&["sg-1"], "two")), script::refused(403, "UnauthorizedOperation")]);
        let listing = groups(&script).await;
        assert!(listing.items.len() == 1 && listing.missing.is_some());
    }

    #[tokio::test]
    async fn pages_that_do_not_end_are_an_error() {
        let again = || script::ok(&script::groups(&["sg-1"], "again"));
        let listing = groups(&Script::of([again(), again()])).await;
        assert_eq!(listing.items.len(), 2);
        assert!(matches!(listing.missing, Some(Error::EndlessPages { .. })));
    }

    #[tokio::test]
    async fn an_answer_that_is_no_answer_is_an_error() {
        for body in ["", "<html>", "<DescribeSecurityGroupsResponse><securityGroupInfo>"] {
            let missing = groups(&Script::of([script::ok(body)])).await.missing.unwrap();
            assert!(matches!(missing, Error::Call { source: lestrade_wire::Error::Malformed(_), .. }), "{missing}");
        }
    }
}
