//! Secrets that AWS Secrets Manager keeps: `aws:NAME` or `aws:ARN`; all else is read where it is.

use super::call::{Caller, taken};
use lestrade_events::{EgressPolicy, ForgetfulNotes, Secret, Secrets, Surroundings};
use lestrade_model::Clock;
use serde_json::json;
use std::sync::Arc;

/// Environment, files and Secrets Manager.
pub struct AwsSecrets {
    /// Where AWS's endpoints may be.
    pub egress: EgressPolicy,
    /// The region; that of an ARN goes first.
    pub region: String,
    /// For signatures.
    pub clock: Arc<dyn Clock>,
    /// Another address of Secrets Manager than AWS's own.
    pub endpoint: Option<String>,
    /// Where all other secrets are, the keys of AWS among them.
    pub local: Arc<dyn Secrets>,
}

impl Secrets for AwsSecrets {
    fn resolve(&self, reference: &str) -> Result<Secret, String> {
        let Some(id) = reference.strip_prefix("aws:") else { return self.local.resolve(reference) };
        let region = id.strip_prefix("arn:").and_then(|arn| arn.split(':').nth(2)).unwrap_or(&self.region);
        let surroundings = Surroundings {
            secrets: Arc::clone(&self.local),
            egress: self.egress,
            notes: Arc::new(ForgetfulNotes::default()),
            clock: Arc::clone(&self.clock),
        };
        let caller = Caller::of_environment("secretsmanager", region, self.endpoint.clone(), &surroundings)?;
        let said = |error: lestrade_events::DeliveryError| format!("the secret '{id}' cannot be had: {error}");
        let answer = caller.json("1.1", "secretsmanager.GetSecretValue", &json!({"SecretId": id})).map_err(said)?;
        taken(&answer).map_err(said)?;
        let value = answer.json()["SecretString"].as_str().map(Secret::new);
        value.ok_or_else(|| format!("the secret '{id}' is no text"))
    }
}
