use super::*;
use crate::documents::Syntax;
use crate::formats::read;

const DECEMBER: &str = include_str!("../../../fuzz/seeds/msrc");
const JANUARY: &str = include_str!("../../../fuzz/seeds/msrc-xml");
const CSAF: &str = include_str!("../../../fuzz/seeds/msrc-csaf");

/// The products of a record: name, fixed build, remedies.
fn shown(advisory: &Advisory) -> Vec<String> {
    let one = |entry: &Affected| {
        let build = entry.ranges[0].events.iter().find_map(|event| match event {
            Event::Fixed(build) => Some(build.as_str()),
            _ => None,
        });
        let severity = entry.vendor_severity.as_deref().unwrap_or("-");
        format!("{} | {} | {} | {severity}", entry.name, build.unwrap_or("-"), entry.module.as_deref().unwrap_or("-"))
    };
    advisory.affected.iter().map(one).collect()
}

#[test]
fn a_month_as_the_api_gives_it() {
    let brought = read("2022-Dec.json", Syntax::Json, DECEMBER);
    assert_eq!(brought.quarantined, []);
    let [spooler] = brought.advisories.as_slice() else { panic!("{:?}", brought.advisories) };
    assert_eq!((spooler.key.feed.as_str(), spooler.key.id.as_str()), ("msrc", "CVE-2022-44678"));
    assert_eq!(
        shown(spooler),
        [
            "Windows 10 Version 1809 for x64-based Systems | 10.0.17763.3770 | KB5021237<KB5019966 | Important",
            "Windows Server 2012 R2 | - | KB5021294<KB5020023 KB5021296 | Important",
            "Windows Server 2022 | 10.0.20348.1366 | KB5021249<KB5019081 | Important",
            "Windows Server 2022 (Server Core installation) | 10.0.20348.1366 | KB5021249<KB5019081 | Important",
        ]
    );
    assert_eq!(spooler.details, "An attacker who wins & exploits it could gain SYSTEM privileges.");
    assert_eq!((spooler.scores.len(), spooler.scores[0].cvss.score, spooler.vendor_severity.as_deref()), (1, 7.8, Some("Important")));
    assert_eq!(spooler.published.unwrap().to_string(), "2022-12-13T08:00:00Z");
}

#[test]
fn a_month_in_xml() {
    let brought = read("2023-Jan.xml", Syntax::Xml, JANUARY);
    assert_eq!(brought.quarantined, []);
    let [alpc] = brought.advisories.as_slice() else { panic!("{:?}", brought.advisories) };
    assert_eq!(
        shown(alpc),
        [
            "Windows Server 2012 R2 | - | KB5022352<KB5021294 KB5022346 | Important",
            "Windows Server 2019 (Server Core installation) | 10.0.17763.3887 | KB5022286<KB5021237 | Important",
            "Windows Server 2022 | 10.0.20348.1487 | KB5022291<KB5021249 | Important",
            "Windows Server 2022 (Server Core installation) | 10.0.20348.1487 | KB5022291<KB5021249 | Important",
        ]
    );
    assert_eq!((alpc.cwes.as_slice(), alpc.scores[0].cvss.score), (["CWE-416".to_owned()].as_slice(), 8.8));
}

#[test]
fn csaf_names_builds_and_addresses_and_no_supersedence() {
    let brought = read("msrc_cve-2023-21674.json", Syntax::Json, CSAF);
    assert_eq!(brought.quarantined, []);
    let [alpc] = brought.advisories.as_slice() else { panic!("{:?}", brought.advisories) };
    assert_eq!(alpc.key.feed, "msrc-csaf");
    assert_eq!(
        shown(alpc),
        ["Windows Server 2012 R2 | - | KB5022352 KB5022346 | Important", "Windows Server 2022 | 10.0.20348.1487 | KB5022291 | Important",]
    );
}

#[test]
fn documents_of_others_are_refused_and_other_products_are_passed_over() {
    for (name, syntax, text, refused) in [
        ("suse.xml", Syntax::Xml, JANUARY.replace("microsoft", "suse").replace("Microsoft", "SUSE"), 1),
        ("empty.json", Syntax::Json, DECEMBER.split_once("\"Vulnerability\":").unwrap().0.to_owned() + "\"Vulnerability\": []}", 1),
        // Nothing is wrong with those, and nothing in them is judged.
        ("csaf.json", Syntax::Json, CSAF.replace("Windows Server", "Microsoft Exchange Server"), 0),
        ("2022-Dec.json", Syntax::Json, DECEMBER.replace("\"Windows ", "\"Windoze "), 0),
    ] {
        let brought = read(name, syntax, &text);
        assert_eq!((brought.advisories.len(), brought.quarantined.len()), (0, refused), "{name}: {:?}", brought.quarantined);
    }
}

#[test]
fn a_document_that_is_cut_anywhere_is_refused() {
    for (name, syntax, text) in [("x.json", Syntax::Json, DECEMBER), ("x.xml", Syntax::Xml, JANUARY), ("y.json", Syntax::Json, CSAF)] {
        let whole = text.trim_end();
        for cut in (1..whole.len()).step_by(97) {
            let brought = read(name, syntax, &whole[..whole.floor_char_boundary(cut)]);
            assert!(brought.advisories.is_empty() && !brought.quarantined.is_empty(), "{name} cut at {cut}");
        }
    }
}

#[test]
fn remedies_without_end_are_quarantined() {
    let products = ["1".to_owned()];
    let remediations = (0..=MAX_REMEDIES)
        .map(|number| Remediation {
            kind: Kind::Fix,
            description: (5_000_000 + number).to_string(),
            products: products.to_vec(),
            ..Remediation::default()
        })
        .collect();
    let vulnerability =
        Vulnerability { id: "CVE-2024-1".into(), affected: products.into_iter().collect(), remediations, ..Vulnerability::default() };
    let mut bulletin = Bulletin { vulnerabilities: vec![vulnerability], ..Bulletin::default() };
    bulletin.product("1", "Windows Server 2022").unwrap();
    let brought = bulletin.brought("x", CVRF_FEED);
    assert_eq!((brought.advisories.len(), brought.quarantined.len()), (0, 1));
}

#[test]
fn what_becomes_of_it_without_a_fix() {
    let state = |kinds: &[Kind]| {
        let all: Vec<Remediation> = kinds.iter().map(|kind| Remediation { kind: *kind, ..Remediation::default() }).collect();
        entry("Windows Server 2022", &all.iter().collect::<Vec<_>>()).unwrap().unfixed
    };
    assert_eq!(state(&[]), FixState::Open);
    assert_eq!(state(&[Kind::Other]), FixState::Open);
    assert_eq!(state(&[Kind::Other, Kind::WillNotFix]), FixState::WillNotFix);
}
