//! Findings: lists and details.

use super::call::Call;
use super::criteria::{criteria, sort};
use super::failure::Failure;
use super::finding::{cisa, finding};
use lestrade_findings::{Criteria, FindingView, Sort, Term, TextField, TextTest};
use lestrade_wire::inspector2::{
    BatchGetFindingDetailsRequest, BatchGetFindingDetailsResponse, FindingDetail, FindingDetailsError, FindingDetailsErrorCode,
    ListFindingsRequest, ListFindingsResponse,
};

/// How many findings are on a page when nobody says.
const PAGE: usize = 100;

pub(super) fn list_findings(call: &Call<'_>, input: ListFindingsRequest) -> Result<ListFindingsResponse, Failure> {
    let criteria = criteria(&input.filter_criteria.unwrap_or_default())?;
    let limit = input.max_results.and_then(|max| usize::try_from(max).ok()).unwrap_or(PAGE);
    let token = input.next_token.as_deref().filter(|token| !token.is_empty());
    let sort = sort(input.sort_criteria.as_ref());
    let page = call.backend.list_findings(&call.principal.scopes(), &criteria, sort, limit, token)?;
    Ok(ListFindingsResponse { findings: Some(page.findings.iter().map(finding).collect::<Result<_, _>>()?), next_token: page.next })
}

pub(super) fn batch_get_finding_details(
    call: &Call<'_>,
    input: BatchGetFindingDetailsRequest,
) -> Result<BatchGetFindingDetailsResponse, Failure> {
    let tests = input.finding_arns.iter().cloned().map(TextTest::Equals).collect();
    let criteria = Criteria { terms: vec![Term::Text(TextField::FindingArn, tests)] };
    let found = call.backend.list_findings(&call.principal.scopes(), &criteria, Sort::default(), input.finding_arns.len(), None)?.findings;
    let mut response = BatchGetFindingDetailsResponse { finding_details: Some(Vec::new()), errors: Some(Vec::new()) };
    for arn in input.finding_arns {
        match found.iter().find(|view| view.arn.as_str() == arn) {
            Some(view) => response.finding_details.get_or_insert_default().push(detail(view)),
            None => response.errors.get_or_insert_default().push(FindingDetailsError {
                finding_arn: arn,
                error_code: FindingDetailsErrorCode::FindingDetailsNotFound,
                error_message: "There is no such finding.".to_owned(),
            }),
        }
    }
    Ok(response)
}

fn detail(view: &FindingView) -> FindingDetail {
    let assessment = &view.assessment;
    FindingDetail {
        finding_arn: Some(view.arn.to_string()),
        cisa_data: cisa(assessment),
        risk_score: Some(view.risk().value.round() as i32),
        evidences: Some(Vec::new()),
        ttps: Some(Vec::new()),
        tools: Some(Vec::new()),
        exploit_observed: None,
        reference_urls: Some(assessment.references.iter().take(100).cloned().collect()),
        cwes: Some(assessment.cwes.clone()),
        epss_score: assessment.epss,
    }
}
