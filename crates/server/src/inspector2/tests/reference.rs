//! The page that says of each operation how far it goes is what the code says.

use super::*;
use crate::inspector2::call::Call;
use crate::inspector2::dispatch::{Visitor, needs, visit};
use crate::inspector2::failure::Failure;
use lestrade_wire::Request;
use std::collections::BTreeMap;
use std::fmt::Write as _;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/inspector2.md");

/// How far an operation goes, and why no further.
struct Describe;

impl Visitor for Describe {
    type Out = (&'static str, &'static str);

    fn real<R: Request<Service = Api>>(self, _: fn(&Call<'_>, R) -> Result<R::Response, Failure>) -> Self::Out {
        ("real", "")
    }

    fn kept<R: Request<Service = Api>>(self, _: fn(&Call<'_>, R) -> Result<R::Response, Failure>, why: &'static str) -> Self::Out {
        ("kept", why)
    }

    fn empty<R: Request<Service = Api>>(self, _: fn(&Call<'_>, R) -> Result<R::Response, Failure>, why: &'static str) -> Self::Out {
        ("empty", why)
    }

    fn refused<R: Request<Service = Api>>(self, why: &'static str) -> Self::Out {
        ("refused", why)
    }
}

fn page() -> String {
    let mut rows = String::new();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for &operation in Api::ALL {
        let (depth, why) = visit(operation, Describe);
        *counts.entry(depth).or_default() += 1;
        let binding = operation.binding();
        let role = needs(operation).as_str();
        writeln!(rows, "| {} | `{} {}` | {depth} | {role} | {why} |", operation.name(), binding.method, binding.uri).unwrap();
    }
    let count = |depth: &str| counts.get(depth).copied().unwrap_or_default();
    format!(
        "# Operations of the `inspector2` API\n\n\
         All {} operations of the service model of botocore 1.44.5 are answered. Every request is checked against the model first:\n\
         path, method, required members, lengths, ranges, enumerations, patterns; what does not pass is a `ValidationException`.\n\n\
         | | operations | means |\n|---|---|---|\n\
         | real | {} | does what it does at AWS |\n\
         | kept | {} | what is set is kept and told again; nothing acts on it |\n\
         | empty | {} | answers truly that there is none: an empty list, or `ResourceNotFoundException` |\n\
         | refused | {} | a valid request is refused with `ValidationException`, reason `OTHER` |\n\n\
         Each needs a role; `viewer`, `triager`, `operator` and `admin` may do what those before them may. Others get\n\
         `AccessDeniedException`.\n\n\
         | operation | request | here | role | why |\n|---|---|---|---|---|\n{rows}\n\
         `inspector-scan` is answered too: `ScanSbom`, `POST /scan/sbom`, for whoever has a key, signed for that service\n\
         (`AWS_ENDPOINT_URL` or `AWS_ENDPOINT_URL_INSPECTOR_SCAN` says where). The document is CycloneDX in JSON, of 1.2 to 1.7 and up to\n\
         10 MiB; the answer is CycloneDX 1.5 with `vulnerabilities` and the properties `amazon:inspector:sbom_scanner:…`, or with\n\
         `outputFormat` `INSPECTOR` the object `vulnerability_count`, `vulnerabilities`, and `messages` about what was not judged.\n\
         `INSPECTOR_ALT` is refused. References in the answer are of its own components, not of the document's. Nothing of the\n\
         document is kept, suppression rules do not apply, and without intelligence in force the answer is\n\
         `InternalServerException`, never an empty list.\n\n\
         `ListFindingAggregations` by layer reads each inventory that is asked about once; where that would be more than 5,000 of them it\n\
         is refused with `ValidationException`, and repositories, images or functions have to be named.\n\n\
         Generated from the code by the test `the_reference_page_is_what_the_code_says`; with `LESTRADE_WRITE_DOCS=1` it writes this\n\
         page.\n",
        Api::ALL.len(),
        count("real"),
        count("kept"),
        count("empty"),
        count("refused"),
    )
}

#[test]
fn the_reference_page_is_what_the_code_says() {
    if std::env::var_os("LESTRADE_WRITE_DOCS").is_some() {
        std::fs::write(PAGE, page()).unwrap();
    }
    assert_eq!(std::fs::read_to_string(PAGE).unwrap(), page(), "LESTRADE_WRITE_DOCS=1 writes it");
}

#[test]
fn every_operation_of_the_model_has_its_route() {
    assert_eq!(Api::ALL.len(), 84);
    for &operation in Api::ALL {
        let binding = operation.binding();
        let path = binding.uri.replace("{resourceArn}", "arn%3Aaws%3Ainspector2");
        assert_eq!(rest_json::route::<Api>(binding.method, &path).unwrap().operation, operation, "{operation:?}");
        for method in ["GET", "POST", "PUT", "DELETE"].into_iter().filter(|method| *method != binding.method) {
            let other = rest_json::route::<Api>(method, &path).map(|route| route.operation);
            assert_ne!(other, Some(operation), "{method} {path}");
        }
    }
}
