//! EC2: whole lists, over all their pages.

use crate::{Error, Retry};
use lestrade_model::Clock;
use lestrade_wire::ec2::{
    DescribeInstancesRequest, DescribeInstancesResult, DescribeSecurityGroupsRequest, DescribeSecurityGroupsResult, Instance, Reservation,
    SecurityGroup,
};
use lestrade_wire::sigv4::Credentials;
use lestrade_wire::{Client, Endpoint, Request, Service, Transport};
use std::sync::Arc;

/// The most that EC2 puts on a page.
const PAGE: i32 = 1000;
/// No account has as many pages; a service that gives more is broken.
const MOST_PAGES: usize = 10_000;

/// EC2 in one region, as one principal sees it.
#[derive(Clone)]
pub struct Ec2<T> {
    client: Client<T>,
    retry: Retry,
    page: i32,
}

/// A request that is answered in pages.
trait Paged: Request {
    type Item;
    fn continued(&mut self, token: String);
    fn page(response: Self::Response) -> (Vec<Self::Item>, Option<String>);
}

impl Paged for DescribeInstancesRequest {
    type Item = Reservation;

    fn continued(&mut self, token: String) {
        self.next_token = Some(token);
    }

    fn page(response: DescribeInstancesResult) -> (Vec<Reservation>, Option<String>) {
        (response.reservations.unwrap_or_default(), response.next_token)
    }
}

impl Paged for DescribeSecurityGroupsRequest {
    type Item = SecurityGroup;

    fn continued(&mut self, token: String) {
        self.next_token = Some(token);
    }

    fn page(response: DescribeSecurityGroupsResult) -> (Vec<SecurityGroup>, Option<String>) {
        (response.security_groups.unwrap_or_default(), response.next_token)
    }
}

impl<T: Transport> Ec2<T> {
    /// EC2 at AWS's endpoint of `region`, or at `endpoint` where one is given.
    ///
    /// # Errors
    /// When `endpoint` is not one.
    pub fn new(transport: T, endpoint: Option<&str>, region: &str, credentials: Credentials, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let endpoint = match endpoint {
            Some(url) => Endpoint::parse(url).ok_or_else(|| Error::Endpoint(url.chars().take(128).collect()))?,
            None => Endpoint::of_aws("ec2", region),
        };
        let client = Client { transport, endpoint, region: region.to_owned(), credentials, clock };
        Ok(Self { client, retry: Retry::default(), page: PAGE })
    }

    /// The same, asking again in another manner.
    #[must_use]
    pub const fn retrying(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// The same, with at most this many items on a page.
    #[must_use]
    pub const fn paging(mut self, page: i32) -> Self {
        self.page = page;
        self
    }

    /// All reservations with their instances.
    ///
    /// # Errors
    /// When a page did not come; with what came before it.
    pub async fn describe_instances(&self) -> Result<Vec<Reservation>, (Vec<Reservation>, Error)> {
        self.pages(DescribeInstancesRequest { max_results: Some(self.page), ..DescribeInstancesRequest::default() }).await
    }

    /// All security groups.
    ///
    /// # Errors
    /// When a page did not come; with what came before it.
    pub async fn describe_security_groups(&self) -> Result<Vec<SecurityGroup>, (Vec<SecurityGroup>, Error)> {
        self.pages(DescribeSecurityGroupsRequest { max_results: Some(self.page), ..DescribeSecurityGroupsRequest::default() }).await
    }

    async fn pages<R: Paged>(&self, mut request: R) -> Result<Vec<R::Item>, (Vec<R::Item>, Error)> {
        let operation = R::OPERATION.name();
        let mut all = Vec::new();
        let mut last = None;
        for _ in 0..MOST_PAGES {
            let response = match self.retry.call(&self.client, &request).await {
                Ok(response) => response,
                Err(source) => return Err((all, Error::Call { operation, source })),
            };
            let (items, token) = R::page(response);
            all.extend(items);
            let Some(token) = token.filter(|token| !token.is_empty()) else { return Ok(all) };
            if last.as_ref() == Some(&token) {
                break;
            }
            last = Some(token.clone());
            request.continued(token);
        }
        Err((all, Error::EndlessPages { operation }))
    }
}

/// The instances of some reservations, each with the account that owns it if that is told.
pub(crate) fn instances(reservations: Vec<Reservation>) -> impl Iterator<Item = (Option<String>, Instance)> {
    reservations.into_iter().flat_map(|reservation| {
        let owner = reservation.owner_id;
        reservation.instances.unwrap_or_default().into_iter().map(move |instance| (owner.clone(), instance))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{self, Script};

    #[tokio::test]
    async fn pages_are_followed_to_the_end() {
        let script = Script::of([script::ok(&script::groups(&["sg-1"], "two")), script::ok(&script::groups(&["sg-2", "sg-3"], ""))]);
        let groups = script::ec2(&script).describe_security_groups().await.unwrap();
        assert_eq!(groups.iter().filter_map(|g| g.group_id.as_deref()).collect::<Vec<_>>(), ["sg-1", "sg-2", "sg-3"]);
        let sent = script.sent();
        assert!(!sent[0].contains("NextToken") && sent[1].contains("&NextToken=two"), "{sent:?}");
        assert!(sent[0].starts_with("Action=DescribeSecurityGroups&Version=2016-11-15"));
    }

    #[tokio::test]
    async fn a_busy_service_is_asked_again_and_a_refusal_is_not() {
        let script = Script::of([script::refused(503, "RequestLimitExceeded"), script::ok(&script::groups(&["sg-1"], ""))]);
        assert_eq!(script::ec2(&script).describe_security_groups().await.unwrap().len(), 1);

        let script = Script::of([script::refused(403, "UnauthorizedOperation")]);
        let (seen, error) = script::ec2(&script).describe_security_groups().await.unwrap_err();
        assert!(seen.is_empty());
        assert_eq!(error.to_string(), "DescribeSecurityGroups: UnauthorizedOperation (HTTP 403): no");
        assert_eq!(script.sent().len(), 1);
    }

    #[tokio::test]
    async fn pages_that_do_not_end_are_an_error() {
        let again = || script::ok(&script::groups(&["sg-1"], "again"));
        let script = Script::of([again(), again()]);
        let (seen, error) = script::ec2(&script).describe_security_groups().await.unwrap_err();
        assert_eq!(seen.len(), 2);
        assert!(matches!(error, Error::EndlessPages { .. }));
    }

    #[tokio::test]
    async fn an_answer_that_is_no_answer_is_an_error() {
        for body in ["", "<html>", "<DescribeSecurityGroupsResponse><securityGroupInfo>"] {
            let script = Script::of([script::ok(body)]);
            let (_, error) = script::ec2(&script).describe_security_groups().await.unwrap_err();
            assert!(matches!(error, Error::Call { source: lestrade_wire::Error::Malformed(_), .. }), "{error}");
        }
    }
}
