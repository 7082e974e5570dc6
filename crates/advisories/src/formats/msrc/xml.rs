//! CVRF as XML. The elements are those of the schema (`prod:FullProductName`, `vuln:Vulnerability`), to which MSRC adds to
//! `Remediation` what it supersedes, its kind and the build that it leads to.

use super::{Bulletin, Kind, Remediation, Vulnerability};
use crate::formats::xml::{Element, each_element};

pub(super) fn read(text: &str) -> Result<Bulletin, String> {
    let mut bulletin = Bulletin::default();
    let mut published_by = String::new();
    let mut problem = None;
    each_element(text, &["DocumentPublisher", "FullProductName", "Vulnerability"], &mut |element| match element.name.as_str() {
        "DocumentPublisher" => {
            published_by = format!("{} {}", element.value("ContactDetails"), element.value("IssuingAuthority"));
        }
        "FullProductName" => {
            if let Err(reason) = bulletin.product(element.attribute("ProductID"), &element.text) {
                problem = Some(reason);
            }
        }
        _ => bulletin.vulnerabilities.push(vulnerability(&element)),
    })?;
    if let Some(reason) = problem {
        return Err(reason);
    }
    // Other vendors publish CVRF too.
    if !published_by.contains("icrosoft") {
        return Err("a CVRF document of somebody whose products are not known".into());
    }
    Ok(bulletin)
}

fn vulnerability(element: &Element) -> Vulnerability {
    let under = |list: &'static str, name: &'static str| element.all(list).flat_map(move |list| list.all(name));
    let ids = |element: &Element| element.all("ProductID").map(|id| id.text.clone()).collect::<Vec<_>>();
    let severities = under("Threats", "Threat").filter(|threat| threat.attribute("Type") == "Severity");
    let cwes = element.all("CWE").map(|cwe| cwe.attribute("ID")).filter(|id| id.starts_with("CWE-") && id.len() < 16);
    let description = under("Notes", "Note").find(|note| note.attribute("Type") == "Description");
    Vulnerability {
        id: element.value("CVE").to_owned(),
        title: element.value("Title").to_owned(),
        description: description.map(|note| note.text.clone()).unwrap_or_default(),
        cwes: cwes.take(32).map(str::to_owned).collect(),
        affected: under("ProductStatuses", "Status").filter(|status| status.attribute("Type") == "Known Affected").flat_map(ids).collect(),
        severities: severities.flat_map(|threat| ids(threat).into_iter().map(|id| (id, threat.value("Description").to_owned()))).collect(),
        severity: String::new(),
        vectors: under("CVSSScoreSets", "ScoreSet").map(|set| set.value("Vector").to_owned()).collect(),
        remediations: under("Remediations", "Remediation").map(remediation).collect(),
        revised: under("RevisionHistory", "Revision").map(|revision| revision.value("Date").to_owned()).collect(),
    }
}

fn remediation(element: &Element) -> Remediation {
    let kind = match element.attribute("Type") {
        "Vendor Fix" => Kind::Fix,
        "Will Not Fix" => Kind::WillNotFix,
        _ => Kind::Other,
    };
    Remediation {
        kind,
        description: element.value("Description").to_owned(),
        url: element.value("URL").to_owned(),
        sub_type: element.value("SubType").to_owned(),
        supersedes: element.all("Supercedence").map(|one| one.text.as_str()).collect::<Vec<_>>().join(" "),
        build: element.value("FixedBuild").to_owned(),
        products: element.all("ProductID").map(|id| id.text.clone()).collect(),
    }
}
