//! What a supplier says, as suppressions that name it: of the packages that it speaks of, and of nothing else.

use crate::lab::{Lab, PATIENCE, Serving};
use lestrade_testkit::until;
use serde_json::{Value, json};

fn lab() -> (Lab, Serving) {
    let lab = Lab::new();
    let record = |id: &str, aliases: &[&str], packages: &[&str]| {
        let affected = |name: &&str| {
            json!({"package": {"ecosystem": "npm", "name": name},
                "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "2.0.0"}]}]})
        };
        json!({"id": id, "aliases": aliases, "affected": packages.iter().map(affected).collect::<Vec<_>>()})
    };
    let records = json!([record("GHSA-aaaa-bbbb-cccc", &["CVE-2024-1"], &["a"]), record("CVE-2024-2", &[], &["a", "b"])]);
    lab.write("records.json", records.to_string());
    assert!(lab.run(&["db", "import", "records.json"]).status.success());
    let server = Serving::start(&lab, &[]).unwrap();
    let component = |name: &str| json!({"type": "library", "name": name, "version": "1.0.0", "purl": format!("pkg:npm/{name}@1.0.0")});
    let bom = json!({"bomFormat": "CycloneDX", "specVersion": "1.5", "components": [component("a"), component("b")]});
    lab.write("web.json", bom.to_string());
    assert!(lab.run(&["sbom", "push", "web.json"]).status.success());
    (lab, server)
}

/// The findings as `vulnerability status`, with what suppresses them.
fn findings(lab: &Lab) -> Vec<String> {
    let answer = lab.json(&["findings", "--status", "active,suppressed", "--json"]);
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let of =
        |finding: &Value| format!("{} {} {}", text(&finding["vulnerability"]), text(&finding["status"]), text(&finding["suppressedBy"]));
    let mut all: Vec<String> = answer["findings"].as_array().unwrap().iter().map(of).collect();
    all.sort();
    all
}

#[test]
fn a_supplier_speaks_for_its_packages_alone() {
    let (lab, _server) = lab();
    let active = ["CVE-2024-1 active -", "CVE-2024-2 active -"];
    assert_eq!(findings(&lab), active);

    // Of CVE-2024-2 it speaks of one package of two: the other one is affected still.
    let statement = |id: &str, product: &str, status: &str, at: &str| {
        json!({"vulnerability": {"name": id}, "products": [{"@id": product}], "status": status,
            "justification": "vulnerable_code_not_present", "timestamp": at})
    };
    let openvex = |statements: Value| json!({"@context": "https://openvex.dev/ns/v0.2.0", "statements": statements}).to_string();
    let first = "2026-01-01T00:00:00Z";
    let unaffected = |id: &str| statement(id, "pkg:npm/a", "not_affected", first);
    lab.write("supplier.json", openvex(json!([unaffected("GHSA-aaaa-bbbb-cccc"), unaffected("CVE-2024-2")])));
    assert_eq!(lab.transcript(&["vex", "push", "supplier.json"]), "supplier.json · 2 statements, 2 in force\nexit 0");
    let suppressed = "CVE-2024-1 suppressed supplier.json: not-affected: vulnerable_code_not_present";
    assert_eq!(findings(&lab), [suppressed, "CVE-2024-2 active -"]);

    // Another one speaks of the rest, in CSAF; together they do not suppress, for neither covers all.
    let product = |id: &str, purl: &str| json!({"product_id": id, "name": id, "product_identification_helper": {"purl": purl}});
    let csaf = json!({"document": {"csaf_version": "2.0", "category": "csaf_vex", "tracking": {"current_release_date": first}},
        "product_tree": {"full_product_names": [product("A", "pkg:npm/a@1.0.0"), product("B", "pkg:npm/b@1.0.0")]},
        "vulnerabilities": [{"cve": "CVE-2024-2", "product_status": {"fixed": ["B"]}}]});
    lab.write("csaf.json", csaf.to_string());
    assert!(lab.transcript(&["vex", "push", "csaf.json"]).contains("1 statement, 1 in force"));
    assert_eq!(findings(&lab), [suppressed, "CVE-2024-2 active -"]);

    // It takes a statement back, and is replaced; a document that is none changes nothing.
    let back = statement("GHSA-aaaa-bbbb-cccc", "pkg:npm/a@1.0.0", "affected", "2026-02-01T00:00:00Z");
    lab.write("supplier.json", openvex(json!([unaffected("GHSA-aaaa-bbbb-cccc"), back])));
    assert!(lab.transcript(&["vex", "push", "supplier.json"]).contains("2 statements, 0 in force"));
    assert_eq!(findings(&lab), active);
    lab.write("odd.json", "{}");
    assert!(lab.transcript(&["vex", "push", "odd.json", "--name", "supplier.json"]).contains("neither OpenVEX, CycloneDX nor CSAF"));
    assert_eq!(lab.json(&["vex", "list", "--json"])["documents"].as_array().unwrap().len(), 2);
    assert!(lab.transcript(&["vex", "remove", "csaf.json"]).ends_with("exit 0"));
    assert!(lab.transcript(&["vex", "remove", "csaf.json"]).contains("there is no VEX document 'csaf.json'"));
}

/// What is said of a thing is said of that thing, and a restart forgets nothing.
#[test]
fn what_is_in_force_is_so_after_a_start() {
    let (lab, server) = lab();
    let say = |id: &str, product: &str| json!({"vulnerability": {"name": id}, "products": [{"@id": product}], "status": "not_affected", "impact_statement": "not reachable"});
    // An image by its last name alone cannot be told from others.
    let statements = [say("CVE-2024-2", "sbom/web.json"), say("CVE-2024-1", "sbom/other.json"), say("CVE-2024-1", "pkg:oci/web")];
    let document = json!({"@context": "https://openvex.dev/ns/v0.2.0", "timestamp": "2026-01-01T00:00:00Z", "statements": statements});
    lab.write("own.json", document.to_string());
    assert!(lab.transcript(&["vex", "push", "own.json"]).contains("3 statements, 2 in force"));
    let expected = ["CVE-2024-1 active -", "CVE-2024-2 suppressed own.json: not-affected: not reachable"];
    assert_eq!(findings(&lab), expected);
    server.kill();
    let _server = until("the server starts", PATIENCE, || Serving::start(&lab, &[]).ok()).unwrap();
    assert_eq!(findings(&lab), expected);
}
