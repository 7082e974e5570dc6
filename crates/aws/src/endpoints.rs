//! Where services are reached, when not at AWS's own addresses.

use crate::Error;
use lestrade_wire::{Endpoint, Service};
use std::collections::BTreeMap;

/// The variables that name a service's address, by the first label of the service's hosts. The SDKs spell them after the
/// services' names.
const NAMES: [(&str, &str); 14] = [
    ("api.ecr", "ECR"),
    ("cloudformation", "CLOUDFORMATION"),
    ("ebs", "EBS"),
    ("ec2", "EC2"),
    ("ecs", "ECS"),
    ("eks", "EKS"),
    ("elasticloadbalancing", "ELASTIC_LOAD_BALANCING"),
    ("lambda", "LAMBDA"),
    ("monitoring", "CLOUDWATCH"),
    ("organizations", "ORGANIZATIONS"),
    ("s3", "S3"),
    ("sqs", "SQS"),
    ("ssm", "SSM"),
    ("sts", "STS"),
];

/// Addresses that stand in for AWS's own: one for all, and those of single services, which come first.
#[derive(Clone, Debug, Default)]
pub struct Endpoints {
    all: Option<Endpoint>,
    single: BTreeMap<&'static str, Endpoint>,
}

impl Endpoints {
    /// One address for every service; none leaves them at AWS's.
    ///
    /// # Errors
    /// When it is not an address.
    pub fn all(url: Option<&str>) -> Result<Self, Error> {
        Ok(Self { all: url.map(parse).transpose()?, single: BTreeMap::new() })
    }

    /// The addresses that the SDKs' variables name: `AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_EC2`. `profile` is what a profile names.
    ///
    /// # Errors
    /// When one is not an address.
    pub fn of_environment(variable: impl Fn(&str) -> Option<String>, profile: Option<&str>) -> Result<Self, Error> {
        if variable("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS").is_some_and(|text| text.eq_ignore_ascii_case("true")) {
            return Ok(Self::default());
        }
        let named = |name: &str| variable(name).filter(|url| !url.is_empty());
        let all = named("AWS_ENDPOINT_URL").or_else(|| profile.map(str::to_owned));
        let mut single = BTreeMap::new();
        for (label, name) in NAMES {
            if let Some(url) = named(&format!("AWS_ENDPOINT_URL_{name}")) {
                single.insert(label, parse(&url)?);
            }
        }
        Ok(Self { all: all.as_deref().map(parse).transpose()?, single })
    }

    /// Where a service is reached from a region.
    pub(crate) fn of<S: Service>(&self, region: &str) -> Endpoint {
        self.named(S::ENDPOINT, region)
    }

    /// The same, of a service by the first label of its hosts.
    pub(crate) fn named(&self, label: &str, region: &str) -> Endpoint {
        let stated = self.single.get(label).or(self.all.as_ref());
        stated.cloned().unwrap_or_else(|| Endpoint::of_aws(label, region))
    }
}

fn parse(url: &str) -> Result<Endpoint, Error> {
    Endpoint::parse(url).ok_or_else(|| Error::Endpoint(url.chars().take(128).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lestrade_wire::{ec2, ecr};

    #[test]
    fn a_services_own_address_comes_before_that_of_all() {
        let variable = |name: &str| match name {
            "AWS_ENDPOINT_URL" => Some("http://127.0.0.1:1".to_owned()),
            "AWS_ENDPOINT_URL_ECR" => Some("http://127.0.0.1:2".to_owned()),
            _ => None,
        };
        let endpoints = Endpoints::of_environment(variable, None).unwrap();
        assert_eq!(endpoints.of::<ecr::Api>("eu-west-1").authority, "127.0.0.1:2");
        assert_eq!(endpoints.of::<ec2::Api>("eu-west-1").authority, "127.0.0.1:1");
        let own = Endpoints::of_environment(|_| None, None).unwrap();
        assert_eq!(own.of::<ecr::Api>("eu-west-1").authority, "api.ecr.eu-west-1.amazonaws.com");
        assert!(Endpoints::all(Some("nowhere")).is_err());
    }
}
