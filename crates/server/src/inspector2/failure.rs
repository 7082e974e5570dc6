//! What an operation answers when it does not do what was asked.

use super::backend::BackendError;
use lestrade_findings::QueryError;
use lestrade_wire::inspector2::{
    AccessDeniedException, BadRequestException, ConflictException, Error, ResourceNotFoundException, ServiceQuotaExceededException,
    ThrottlingException, ValidationException, ValidationExceptionField, ValidationExceptionReason,
};
use lestrade_wire::rest_json::Invalid;

/// Why an operation did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The caller's affair, in the service's words.
    #[error(transparent)]
    Service(#[from] Error),
    /// Ours: the caller is told nothing but that.
    #[error(transparent)]
    Backend(BackendError),
    /// Ours: a value that is not JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

impl From<BackendError> for Failure {
    fn from(error: BackendError) -> Self {
        match error {
            BackendError::Query(QueryError::Token(token)) => invalid_field("nextToken", &token.to_string()),
            BackendError::Query(query) => invalid_field("aggregationRequest", &query.to_string()),
            error => Self::Backend(error),
        }
    }
}

impl From<Invalid> for Failure {
    fn from(invalid: Invalid) -> Self {
        match invalid {
            Invalid::Unreadable(why) => {
                let reason = ValidationExceptionReason::CannotParse;
                Self::Service(ValidationException { message: format!("The request cannot be parsed: {why}"), reason, fields: None }.into())
            }
            Invalid::Fields(violations) => {
                let field = |name: String, message| ValidationExceptionField { name, message };
                fields(violations.into_iter().map(|violation| field(violation.path, violation.message)).collect())
            }
        }
    }
}

fn fields(fields: Vec<ValidationExceptionField>) -> Failure {
    let (count, s) = (fields.len(), if fields.len() == 1 { "" } else { "s" });
    let each: Vec<String> =
        fields.iter().map(|field| format!("Value at '{}' failed to satisfy constraint: {}", field.name, field.message)).collect();
    let message = format!("{count} validation error{s} detected: {}", each.join("; "));
    Failure::Service(ValidationException { message, reason: ValidationExceptionReason::FieldValidationFailed, fields: Some(fields) }.into())
}

/// One field is not what it should be.
pub(super) fn invalid_field(name: &str, message: &str) -> Failure {
    fields(vec![ValidationExceptionField { name: name.to_owned(), message: message.to_owned() }])
}

/// There is no such thing.
pub(super) fn not_found(message: impl Into<String>) -> Failure {
    Failure::Service(ResourceNotFoundException { message: message.into() }.into())
}

/// The request makes no sense in the present state.
pub(super) fn bad_request(message: impl Into<String>) -> Failure {
    Failure::Service(BadRequestException { message: message.into() }.into())
}

/// There are as many as there may be.
pub(super) fn quota(message: impl Into<String>, resource_id: impl Into<String>) -> Failure {
    Failure::Service(ServiceQuotaExceededException { message: message.into(), resource_id: resource_id.into() }.into())
}

/// It is too much at a time.
pub(super) fn throttled(message: impl Into<String>) -> Failure {
    Failure::Service(ThrottlingException { message: message.into(), retry_after_seconds: Some(30) }.into())
}

/// The caller may not.
pub(super) fn denied(message: impl Into<String>) -> Failure {
    Failure::Service(AccessDeniedException { message: message.into() }.into())
}

/// Something else stands where this would go.
pub(super) fn conflict(message: impl Into<String>, resource_id: impl Into<String>, resource_type: &str) -> Failure {
    let (resource_id, resource_type) = (resource_id.into(), resource_type.to_owned());
    Failure::Service(ConflictException { message: message.into(), resource_id, resource_type }.into())
}

/// A valid request for what is not done here. Every operation declares this error.
pub(super) fn unsupported(why: &str) -> Failure {
    let reason = ValidationExceptionReason::Other;
    Failure::Service(ValidationException { message: format!("Not supported by Lestrade: {why}"), reason, fields: None }.into())
}
