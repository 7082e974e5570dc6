//! The ways to services that answer in pages.

use crate::update::{Lab, updated};
use lestrade_advisories::{FeedKey, FeedOutcome};
use lestrade_model::Family;
use lestrade_testkit::{Reply, Responder};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

mod msrc {
    use super::*;

    const DECEMBER: &str = include_str!("../../fuzz/seeds/msrc");
    const JANUARY: &str = include_str!("../../fuzz/seeds/msrc-xml");

    fn months(rows: &[(&str, &str)]) -> String {
        let rows: Vec<Value> = rows
            .iter()
            .map(|(id, at)| json!({"ID": id, "Alias": id, "CurrentReleaseDate": at, "CvrfUrl": "https://elsewhere.example/"}))
            .collect();
        json!({"@odata.context": "x", "value": rows}).to_string()
    }

    fn lab() -> Lab {
        let mut lab = Lab::new();
        lab.places.msrc = format!("{}/msrc", lab.server.url());
        lab.server.put("/msrc/updates", "1", months(&[("2022-Dec", "2023-01-10T08:00:00Z"), ("2023-Jan", "2023-02-14T08:00:00Z")]));
        lab.server.put("/msrc/cvrf/2022-Dec", "1", DECEMBER);
        lab.server.put("/msrc/cvrf/2023-Jan", "1", JANUARY);
        lab
    }

    fn is_affected(lab: &Lab, build: &str) -> bool {
        lab.affected(Family::Windows, Some("Windows Server 2022"), "Windows Server 2022", build)
    }

    #[test]
    fn months_are_fetched_as_json_or_xml_and_again_when_they_change() {
        let lab = lab();
        assert_eq!(lab.update(&["msrc"]), [updated(2)]);
        assert!(is_affected(&lab, "10.0.20348.1366") && !is_affected(&lab, "10.0.20348.1487"));
        assert_eq!(lab.update(&["msrc"]), [FeedOutcome::Unchanged]);
        lab.server.take_requests();
        lab.server.put("/msrc/updates", "2", months(&[("2022-Dec", "2023-01-10T08:00:00Z"), ("2023-Jan", "2026-11-20T08:00:00Z")]));
        lab.server.put("/msrc/cvrf/2023-Jan", "2", JANUARY.replace("10.0.20348.1487", "10.0.20348.1500"));
        assert_eq!(lab.update(&["msrc"]), [updated(2)]);
        assert_eq!(lab.server.take_requests(), ["200 /msrc/updates", "200 /msrc/cvrf/2023-Jan"]);
        assert!(is_affected(&lab, "10.0.20348.1487"));
        // What no month has any more goes when all are fetched again.
        lab.server.put("/msrc/updates", "3", months(&[("2022-Dec", "2023-01-10T08:00:00Z")]));
        assert_eq!(lab.update_on("2026-12-22", &["msrc"]), [updated(1)]);
        assert!(!is_affected(&lab, "10.0.20348.1366"));
    }

    #[test]
    fn a_month_that_is_broken_or_of_another_feed_is_refused() {
        let lab = lab();
        assert_eq!(lab.update(&["msrc"]), [updated(2)]);
        for (number, bad) in
            ["", "<html>", "{}", r#"{"openssl": {"CVE-2024-1": {"releases": {"bookworm": {"status": "open"}}}}}"#].iter().enumerate()
        {
            lab.server.put("/msrc/updates", "2", months(&[("2023-Jan", &format!("2026-11-2{number}T08:00:00Z"))]));
            lab.server.put("/msrc/cvrf/2023-Jan", "2", *bad);
            assert!(matches!(lab.update(&["msrc"])[..], [FeedOutcome::Refused(_)]), "{bad:?}");
        }
        for list in ["", "[]", "{}", r#"{"value": []}"#, r#"{"value": [{"ID": "../x", "CurrentReleaseDate": "2026"}]}"#] {
            lab.server.put("/msrc/updates", "3", list);
            assert!(matches!(lab.update(&["msrc"])[..], [FeedOutcome::Refused(_)]), "{list:?}");
        }
        assert!(is_affected(&lab, "10.0.20348.1366"), "the last good state stays");
    }

    #[test]
    fn a_month_without_windows_is_a_month_like_others() {
        let lab = lab();
        lab.server.put("/msrc/cvrf/2022-Dec", "2", DECEMBER.replace("\"Windows ", "\"Office "));
        assert_eq!(lab.update(&["msrc"]), [updated(1)]);
    }
}

mod nvd {
    use super::*;

    /// NVD's API as a test has it: records by the time of their last change, and pages of two.
    struct Nvd {
        records: Vec<(&'static str, &'static str)>,
        fails_from: usize,
    }

    fn answer(nvd: &Nvd, path: &str) -> Reply {
        let of = |name: &str| path.split(['?', '&']).find_map(|part| part.strip_prefix(&format!("{name}="))).unwrap_or_default().to_owned();
        let start: usize = of("startIndex").parse().unwrap();
        if start >= nvd.fails_from {
            return Reply::status(404);
        }
        let (begin, end) = (of("lastModStartDate"), of("lastModEndDate"));
        assert!(begin.ends_with(".000%2B00:00") && end.ends_with(".000%2B00:00"), "{path}");
        let within: Vec<_> = nvd.records.iter().filter(|(_, at)| begin.as_str() <= *at && *at < end.as_str()).collect();
        let page: Vec<Value> = within
            .iter()
            .skip(start)
            .take(2)
            .map(|(id, at)| {
                let status = if id.ends_with("1013") { "Rejected" } else { "Analyzed" };
                json!({"cve": {"id": id, "vulnStatus": status, "lastModified": at, "descriptions": []}})
            })
            .collect();
        Reply::json(
            200,
            &json!({"resultsPerPage": page.len(), "startIndex": start, "totalResults": within.len(), "format": "NVD_CVE", "version": "2.0",
                "vulnerabilities": page}),
        )
    }

    fn lab(records: &[(&'static str, &'static str)]) -> (Lab, Responder, Arc<Mutex<Nvd>>) {
        let nvd = Arc::new(Mutex::new(Nvd { records: records.to_vec(), fails_from: usize::MAX }));
        let answering = Arc::clone(&nvd);
        let server = Responder::start(move |asked| answer(&answering.lock().unwrap(), &asked.path)).unwrap();
        let mut lab = Lab::new();
        lab.places.nvd_api = format!("{}/rest/json/cves/2.0", server.url());
        lab.places.nvd_api_key = FeedKey("secret".into());
        (lab, server, nvd)
    }

    #[test]
    fn windows_are_walked_page_by_page_and_the_next_look_goes_on() {
        let records = [
            ("CVE-2026-1011", "2026-11-16T00"),
            ("CVE-2026-1012", "2026-11-17T00"),
            ("CVE-2026-1013", "2026-11-22T00"),
            ("CVE-2020-1000", "2020-01-01"),
        ];
        let (lab, server, nvd) = lab(&records);
        assert_eq!(lab.update_on("2026-11-23", &["nvd/changes"]), [updated(3)]);
        let asked = server.asked();
        assert_eq!(asked.len(), 2, "two pages of one window");
        assert!(asked[0].path.contains("lastModStartDate=2026-11-15T00:00:00.000%2B00:00&lastModEndDate=2026-11-23T00:00:00.000%2B00:00"));
        assert_eq!(asked[0].headers.get("apikey").map(String::as_str), Some("secret"));
        // Half a year later: two windows, the first from a little before where the last look ended.
        nvd.lock().unwrap().records.push(("CVE-2027-1014", "2027-05-01T00"));
        assert_eq!(lab.update_on("2027-05-23", &["nvd/changes"]), [updated(4)]);
        let asked = server.asked().split_off(2);
        let begins: Vec<&str> = asked.iter().filter_map(|asked| asked.path.split("lastModStartDate=").nth(1)?.get(..10)).collect();
        assert_eq!(begins, ["2026-11-21", "2027-03-21"]);
    }

    #[test]
    fn what_is_whole_is_not_lost_with_what_is_not() {
        let (lab, server, nvd) = lab(&[("CVE-2026-1011", "2026-11-16T00")]);
        assert_eq!(lab.update_on("2026-11-23", &["nvd/changes"]), [updated(1)]);
        {
            let mut nvd = nvd.lock().unwrap();
            nvd.records.extend([
                ("CVE-2026-1012", "2026-12-01T00"),
                ("CVE-2027-1001", "2027-05-01T00"),
                ("CVE-2027-1002", "2027-05-02T00"),
            ]);
            nvd.records.push(("CVE-2027-1003", "2027-05-03T00"));
            nvd.fails_from = 2;
        }
        assert_eq!(lab.update_on("2027-05-23", &["nvd/changes"]), [updated(2)], "the second window ends early");
        nvd.lock().unwrap().fails_from = usize::MAX;
        let before = server.asked().len();
        assert_eq!(lab.update_on("2027-05-23", &["nvd/changes"]), [updated(5)]);
        let begin = server.asked()[before].path.split("lastModStartDate=").nth(1).unwrap()[..10].to_owned();
        assert_eq!(begin, "2027-03-19", "it goes on where it was, and looks back a little");
    }

    #[test]
    fn a_first_page_that_does_not_come_is_no_news() {
        let (lab, _server, nvd) = lab(&[]);
        nvd.lock().unwrap().fails_from = 0;
        assert_eq!(lab.update(&["nvd/changes"]), [FeedOutcome::Missing("the server answers 404".into())]);
    }

    #[test]
    fn pages_that_lie_are_refused() {
        for page in [
            json!({"resultsPerPage": 0, "startIndex": 0, "totalResults": 7, "format": "NVD_CVE", "vulnerabilities": []}),
            json!({"resultsPerPage": 0, "startIndex": 5, "totalResults": 0, "format": "NVD_CVE", "vulnerabilities": []}),
            json!({"resultsPerPage": 2, "startIndex": 0, "totalResults": 2, "format": "NVD_CVE", "vulnerabilities": [{"cve": {"id": "CVE-2024-1"}}]}),
            json!({"resultsPerPage": 0, "startIndex": 0, "totalResults": u64::MAX, "format": "NVD_CVE", "vulnerabilities": []}),
            json!({"error": "none"}),
        ] {
            let said = page.clone();
            let server = Responder::start(move |_| Reply::json(200, &page)).unwrap();
            let mut lab = Lab::new();
            lab.places.nvd_api = server.url();
            assert!(matches!(lab.update(&["nvd/changes"])[..], [FeedOutcome::Refused(_)]), "{said}");
        }
    }
}

mod github {
    use super::*;

    fn record(number: usize, at: &str) -> Value {
        json!({"ghsa_id": format!("GHSA-{number}"), "cve_id": format!("CVE-2024-{number}"), "summary": "s", "updated_at": at,
            "vulnerabilities": [{"package": {"ecosystem": "npm", "name": format!("p{number}")}, "vulnerable_version_range": "< 2.0.0",
                "first_patched_version": "2.0.0"}]})
    }

    #[test]
    fn pages_are_followed_by_their_links_and_the_next_look_goes_on() {
        let records = Arc::new(Mutex::new(vec![(1, "2026-11-01T00:00:00Z"), (2, "2026-11-02T00:00:00Z"), (3, "2026-11-03T00:00:00Z")]));
        let answering = Arc::clone(&records);
        let server = Responder::start(move |asked| {
            let records = answering.lock().unwrap();
            let since = asked.path.split("updated=%3E%3D").nth(1).and_then(|rest| rest.split('&').next()).unwrap_or_default().to_owned();
            let after: usize = asked.path.split("after=").nth(1).map_or(0, |after| after.parse().unwrap());
            let all: Vec<Value> = records.iter().filter(|(_, at)| *at >= since.as_str()).map(|(n, at)| record(*n, at)).collect();
            let page: Vec<Value> = all.iter().skip(after).take(2).cloned().collect();
            let link = format!("<{}&after={}>; rel=\"next\"", asked.path.split("&after").next().unwrap(), after + 2);
            let headers = if after + 2 < all.len() { vec![("link".to_owned(), link)] } else { vec![] };
            Reply::Answer(200, headers, Value::Array(page).to_string())
        })
        .unwrap();
        let mut lab = Lab::new();
        lab.places.github = format!("{}/advisories", server.url());
        lab.places.github_token = FeedKey("t".into());
        assert_eq!(lab.update(&["github"]), [updated(3)]);
        assert!(lab.affected(Family::Npm, None, "p3", "1.0.0") && !lab.affected(Family::Npm, None, "p3", "2.0.0"));
        assert_eq!(server.asked()[0].headers.get("authorization").map(String::as_str), Some("Bearer t"));
        assert_eq!(lab.update(&["github"]), [FeedOutcome::Unchanged]);
        records.lock().unwrap().push((4, "2026-11-04T00:00:00Z"));
        assert_eq!(lab.update(&["github"]), [updated(4)]);
        assert!(server.asked().last().unwrap().path.contains("updated=%3E%3D2026-11-03T00:00:00Z"));
    }

    #[test]
    fn a_key_is_never_shown() {
        assert_eq!(format!("{:?} {:?}", FeedKey("secret".into()), FeedKey::default()), "… none");
    }
}
