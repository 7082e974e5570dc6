//! Vulnerabilities, found somewhere or not.

use super::call::Call;
use super::failure::Failure;
use super::finding::vulnerability;
use lestrade_wire::inspector2::{SearchVulnerabilitiesRequest, SearchVulnerabilitiesResponse};

pub(super) fn search_vulnerabilities(
    call: &Call<'_>,
    input: SearchVulnerabilitiesRequest,
) -> Result<SearchVulnerabilitiesResponse, Failure> {
    let mut vulnerabilities = Vec::new();
    for id in &input.filter_criteria.vulnerability_ids {
        vulnerabilities.extend(call.backend.assessment(id)?.as_deref().map(vulnerability));
    }
    Ok(SearchVulnerabilitiesResponse { vulnerabilities, next_token: None })
}
