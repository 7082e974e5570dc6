//! Photon OS's `cve_data_photonN.0.json`: a row for each vulnerability and package, with the version that resolved it. The file's
//! name says the release, and so does the version's suffix (`4.ph4`).

use super::{Brought, Format, Parsed, is_cve};
use lestrade_model::{Advisory, Affected, Ecosystem, Family, FixState};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

const FEED: &str = "photon";

pub(super) struct Photon;

#[derive(Deserialize)]
struct Row {
    cve_id: String,
    pkg: String,
    #[serde(default)]
    res_ver: String,
    status: String,
}

impl Format for Photon {
    fn recognises(&self, _: &str, document: &Parsed<'_>) -> bool {
        matches!(document, Parsed::List(rows) if rows.first().is_some_and(|row| row.get("cve_id").is_some() && row.get("res_ver").is_some()))
    }

    fn read(&self, name: &str, document: Parsed<'_>) -> Brought {
        let Parsed::List(rows) = document else { return Brought::default() };
        let mut brought = Brought::default();
        let of_file = release(name);
        let mut advisories: BTreeMap<String, Advisory> = BTreeMap::new();
        for row in rows {
            match one(row, of_file.as_deref()) {
                Ok((id, affected)) => {
                    let advisory = advisories.entry(id).or_insert_with_key(|id| Advisory {
                        upstream: vec![id.rsplit('/').next().unwrap_or_default().to_owned()],
                        ..Advisory::new(FEED, id)
                    });
                    advisory.affected.extend(affected);
                }
                Err(reason) => brought.quarantined.push((name.to_owned(), reason)),
            }
        }
        brought.advisories = advisories.into_values().collect();
        brought
    }
}

/// `4.0` of `cve_data_photon4.0.json`.
fn release(name: &str) -> Option<String> {
    let at = name.rfind("photon")? + "photon".len();
    let number: String = name[at..].chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    Some(number.trim_end_matches('.').to_owned()).filter(|number| !number.is_empty())
}

fn one(row: Value, of_file: Option<&str>) -> Result<(String, Option<Affected>), String> {
    let row: Row = serde_json::from_value(row).map_err(|error| error.to_string())?;
    if !is_cve(&row.cve_id) || row.pkg.is_empty() {
        return Err(format!("'{}' is no CVE, or has no package", row.cve_id.chars().take(40).collect::<String>()));
    }
    let of_version = row.res_ver.rsplit_once(".ph").map(|(_, number)| format!("{number}.0"));
    let release = of_file.map(str::to_owned).or(of_version).ok_or("neither the file nor the version says the release")?;
    let ecosystem = Ecosystem::release(Family::Photon, &release);
    let affected = match row.status.as_str() {
        "Fixed" if !row.res_ver.is_empty() => Some(Affected::before(ecosystem, &row.pkg, &row.res_ver)),
        "Not Affected" => None,
        _ => Some(Affected::always(ecosystem, &row.pkg, FixState::Open)),
    };
    Ok((format!("{release}/{}", row.cve_id), affected))
}

#[cfg(test)]
mod tests {
    use crate::documents::Syntax;

    #[test]
    fn rows_are_fixed_open_or_not_affected() {
        let text = r#"[{"cve_id": "CVE-2023-38545", "pkg": "curl", "cve_score": 9.8, "aff_ver": "x", "res_ver": "7.88.1-4.ph4", "status": "Fixed"},
            {"cve_id": "CVE-2023-38545", "pkg": "curl-libs", "res_ver": "", "status": "Open"},
            {"cve_id": "CVE-2023-2000", "pkg": "bash", "res_ver": "", "status": "Not Affected"},
            {"cve_id": "Re: CVE", "pkg": "bash", "res_ver": "", "status": "Fixed"}]"#;
        let brought = super::super::read("cve_data_photon4.0.json", Syntax::Json, text);
        let shown: Vec<String> =
            brought.advisories.iter().map(|a| format!("{} {:?} {}", a.key.id, a.vulnerabilities(), a.affected.len())).collect();
        assert_eq!(shown, ["4.0/CVE-2023-2000 [\"CVE-2023-2000\"] 0", "4.0/CVE-2023-38545 [\"CVE-2023-38545\"] 2"]);
        assert_eq!(brought.advisories[1].affected[0].ecosystem.to_string(), "Photon OS:4.0");
        assert_eq!(brought.quarantined.len(), 1);
    }
}
