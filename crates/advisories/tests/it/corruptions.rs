//! Every feed, corrupted in forty ways: each is refused, that is said, and the last good state stays.

use crate::update::dump;
use lestrade_advisories::{Feed, FeedKey, FeedOutcome, FeedPlaces, Library, UpdateProgress, Updater};
use lestrade_model::Timestamp;
use lestrade_testkit::{FileServer, Reply, Responder};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::ops::Range;

const RECORDS: Range<usize> = 1000..1100;
const TODAY: &str = "2026-11-22";
const YESTERDAY: &str = "2026-11-21";
const DAY: i64 = 24 * 60 * 60 * 1000;

/// How a feed's bytes lie on its server.
#[derive(Clone, Copy, PartialEq)]
enum Packing {
    Plain,
    Gzip,
    Bzip2,
    /// An archive, which is corrupted as it lies there.
    Archive,
}

impl Packing {
    fn pack(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Plain | Self::Archive => bytes.to_vec(),
            Self::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Self::Bzip2 => {
                let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
        }
    }
}

struct Case {
    feed: &'static str,
    path: &'static str,
    packing: Packing,
    /// Whether the document bears a date that must not go back.
    dated: bool,
    /// Whether it is one record on each line, so that two documents are one.
    lines: bool,
    /// After how many days the whole is fetched again.
    days: i64,
    make: fn(Range<usize>, &str) -> Vec<u8>,
}

const fn case(feed: &'static str, path: &'static str, packing: Packing, make: fn(Range<usize>, &str) -> Vec<u8>) -> Case {
    Case { feed, path, packing, dated: false, lines: false, days: 8, make }
}

fn cases() -> Vec<Case> {
    use Packing::{Archive, Bzip2, Gzip, Plain};
    vec![
        case("osv/npm", "/osv/npm/all.zip", Archive, |records, _| dump(records)),
        case("debian-tracker", "/debian.json", Plain, debian),
        case("alpine-secdb/v3.20/main", "/alpine/v3.20/main.json", Plain, |records, _| {
            secdb(records, r#""distroversion": "v3.20", "reponame": "main""#)
        }),
        case("wolfi-secdb", "/wolfi/security.json", Plain, |records, _| {
            secdb(records, r#""urlprefix": "https://packages.wolfi.dev", "reponame": "os""#)
        }),
        case("chainguard-secdb", "/chainguard/security.json", Plain, |records, _| {
            secdb(records, r#""urlprefix": "https://packages.cgr.dev", "reponame": "chainguard""#)
        }),
        case("redhat-csaf", "/vex/csaf_vex_2026-11-20.tar.zst", Archive, redhat),
        case("amazon-linux/al2023/core", "/mirror/repodata/updateinfo.xml.gz", Gzip, amazon),
        case("oracle-oval", "/oracle.xml.bz2", Bzip2, |records, _| oval(records, "oval:com.oracle.elsa", "Oracle Linux 9")),
        case("azurelinux-oval/3", "/azure/azurelinux-3.0-oval.xml", Plain, |records, _| {
            oval(records, "oval:com.microsoft.azurelinux", "Azure Linux")
        }),
        case("photon/5.0", "/photon/cve_data_photon5.0.json", Plain, photon),
        case("arch", "/arch.json", Plain, arch),
        Case { days: 29, ..case("msrc", "/msrc/cvrf/2024-Jan", Plain, msrc) },
        case("nvd/2024", "/nvd/nvdcve-2.0-2024.json.gz", Gzip, nvd),
        case("alpine-rejections/main", "/rejections/main.yaml", Plain, rejections),
        case("suse-csaf", "/suse/csaf-vex.tar.bz2", Archive, suse),
        case("ubuntu-osv", "/osv-all.tar.zst", Archive, ubuntu_osv),
        case("ubuntu-vex", "/vex-all.tar.zst", Archive, ubuntu_vex),
        case("bottlerocket", "/core-kit.zip", Archive, bottlerocket),
        case("rubysec", "/ruby-advisory-db.zip", Archive, rubysec),
        case("friends-of-php", "/security-advisories.zip", Archive, friends_of_php),
        Case { days: 29, ..case("cve-list", "/cvelistV5.zip", Archive, cve_list) },
        Case { dated: true, lines: true, ..case("epss", "/epss.csv.gz", Gzip, epss) },
        Case { dated: true, ..case("kev", "/kev.json", Plain, kev) },
        Case { lines: true, ..case("exploit-db", "/files_exploits.csv", Plain, exploit_db) },
        case("metasploit", "/metasploit.json", Plain, metasploit),
        Case { lines: true, ..case("nuclei", "/cves.json", Plain, nuclei) },
        Case { dated: true, ..case("endoflife", "/full", Plain, endoflife) },
    ]
}

fn joined(records: Range<usize>, each: impl Fn(usize) -> String) -> String {
    records.map(each).collect::<Vec<_>>().join(",")
}

fn debian(records: Range<usize>, _: &str) -> Vec<u8> {
    let release = r#"{"bookworm": {"status": "resolved", "fixed_version": "1.0-1"}}"#;
    format!("{{{}}}", joined(records, |n| format!(r#""p{n}": {{"CVE-2024-{n}": {{"description": "d", "releases": {release}}}}}"#))).into()
}

fn secdb(records: Range<usize>, head: &str) -> Vec<u8> {
    let packages = joined(records, |n| format!(r#"{{"pkg": {{"name": "p{n}", "secfixes": {{"1.0-r1": ["CVE-2024-{n}"]}}}}}}"#));
    format!(r#"{{{head}, "packages": [{packages}]}}"#).into()
}

fn redhat(records: Range<usize>, _: &str) -> Vec<u8> {
    let text = |n| {
        let full = format!("p{n}-0:2-1.el9.x86_64");
        format!(
            r#"{{"document": {{"csaf_version": "2.0", "category": "csaf_vex", "publisher": {{"name": "Red Hat Product Security"}}}},
            "product_tree": {{"branches": [{{"product": {{"product_id": "B", "name": "RHEL 9",
                "product_identification_helper": {{"cpe": "cpe:/o:redhat:enterprise_linux:9::baseos"}}}}}}],
                "relationships": [{{"full_product_name": {{"product_id": "B:{full}"}}, "product_reference": "{full}",
                "relates_to_product_reference": "B"}}]}},
            "vulnerabilities": [{{"cve": "CVE-2024-{n}", "product_status": {{"fixed": ["B:{full}"]}}}}]}}"#
        )
    };
    zstd_of(records.map(|n| (format!("2024/cve-2024-{n}.json"), text(n))))
}

/// Files in a tar archive.
fn tarred<W: std::io::Write>(into: W, files: impl Iterator<Item = (String, String)>) -> W {
    let mut tar = tar::Builder::new(into);
    for (name, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        tar.append_data(&mut header, name, text.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap()
}

fn zstd_of(files: impl Iterator<Item = (String, String)>) -> Vec<u8> {
    tarred(zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap(), files).finish().unwrap()
}

/// A source tree as a zip archive: records among files that are none.
fn tree(files: impl Iterator<Item = (String, String)>) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let others = [("tree-main/.github/workflows/ci.yml", "name: CI\non: [push]\n"), ("tree-main/composer.json", "{\"name\": \"a/b\"}")];
    for (name, text) in others.map(|(name, text)| (name.to_owned(), text.to_owned())).into_iter().chain(files) {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn rejections(records: Range<usize>, _: &str) -> Vec<u8> {
    records.map(|n| format!("p{n}:\n  - CVE-2024-{n}\n")).collect::<String>().into()
}

fn suse(records: Range<usize>, _: &str) -> Vec<u8> {
    let text = |n| {
        format!(
            r#"{{"document": {{"csaf_version": "2.0", "category": "csaf_vex", "publisher": {{"name": "SUSE Product Security Team"}}}},
            "product_tree": {{"branches": [{{"product": {{"product_id": "SLES 15 SP5", "name": "SUSE Linux Enterprise Server 15 SP5"}}}}],
                "relationships": [{{"full_product_name": {{"product_id": "SLES 15 SP5:p{n}-2-1.1"}}, "product_reference": "p{n}-2-1.1",
                "relates_to_product_reference": "SLES 15 SP5"}}]}},
            "vulnerabilities": [{{"cve": "CVE-2024-{n}", "product_status": {{"recommended": ["SLES 15 SP5:p{n}-2-1.1"]}}}}]}}"#
        )
    };
    let lists = [("csaf-vex/changes.csv".to_owned(), "\"cve-2024-1000.json\",\"2026-11-19T10:00:00Z\"\n".to_owned())];
    let files = lists.into_iter().chain(records.map(|n| (format!("csaf-vex/cve-2024-{n}.json"), text(n))));
    tarred(bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast()), files).finish().unwrap()
}

fn ubuntu_osv(records: Range<usize>, _: &str) -> Vec<u8> {
    let text = |n| {
        format!(
            r#"{{"id": "UBUNTU-CVE-2024-{n}", "modified": "2024-01-01T00:00:00Z", "upstream": ["CVE-2024-{n}"], "affected": [{{"package":
            {{"ecosystem": "Ubuntu:22.04:LTS", "name": "p{n}"}}, "ranges": [{{"type": "ECOSYSTEM", "events": [{{"introduced": "0"}}]}}]}}]}}"#
        )
    };
    zstd_of(records.map(|n| (format!("osv/cve/2024/UBUNTU-CVE-2024-{n}.json"), text(n))))
}

fn ubuntu_vex(records: Range<usize>, _: &str) -> Vec<u8> {
    let text = |n| {
        format!(
            r#"{{"@context": "https://openvex.dev/ns/v0.2.0", "author": "Canonical Ltd.", "timestamp": "2024-01-01T00:00:00Z", "statements":
            [{{"vulnerability": {{"name": "CVE-2024-{n}"}}, "status": "affected",
            "products": [{{"@id": "pkg:deb/ubuntu/p{n}@1?arch=source&distro=jammy"}}]}}]}}"#
        )
    };
    zstd_of(records.map(|n| (format!("vex/cve/2024/CVE-2024-{n}.json"), text(n))))
}

fn bottlerocket(records: Range<usize>, _: &str) -> Vec<u8> {
    let text = |n| {
        format!(
            "[advisory]\nid = \"BRSA-{n}\"\ntitle = \"t\"\ncve = \"CVE-2024-{n}\"\nseverity = \"low\"\ndescription = \"d\"\n\
             [[advisory.products]]\npackage-name = \"p{n}\"\npatched-version = \"2\"\npatched-epoch = \"0\"\n"
        )
    };
    tree(records.map(|n| (format!("core-kit-develop/advisories/2.1.0/BRSA-{n}.toml"), text(n))))
}

fn rubysec(records: Range<usize>, _: &str) -> Vec<u8> {
    let text = |n| format!("gem: p{n}\ntitle: t\ncve: 2024-{n}\npatched_versions:\n  - \">= 2.0\"\n");
    tree(records.map(|n| (format!("ruby-advisory-db-master/gems/p{n}/CVE-2024-{n}.yml"), text(n))))
}

fn friends_of_php(records: Range<usize>, _: &str) -> Vec<u8> {
    let text =
        |n| format!("title: t\ncve: CVE-2024-{n}\nreference: composer://a/p{n}\nbranches:\n  1.x:\n    versions: ['>=1.0', '<1.2']\n");
    tree(records.map(|n| (format!("security-advisories-master/a/p{n}/CVE-2024-{n}.yaml"), text(n))))
}

fn cve_list(records: Range<usize>, _: &str) -> Vec<u8> {
    let text = |n| {
        format!(
            r#"{{"dataType": "CVE_RECORD", "cveMetadata": {{"cveId": "CVE-2024-{n}", "state": "PUBLISHED"}}, "containers": {{"cna": {{}}}}}}"#
        )
    };
    let log = [("cvelistV5-main/cves/deltaLog.json".to_owned(), r#"[{"fetchTime": "2026-11-22T00:00:00.000Z"}]"#.to_owned())];
    tree(log.into_iter().chain(records.map(|n| (format!("cvelistV5-main/cves/2024/{}xxx/CVE-2024-{n}.json", n / 1000), text(n)))))
}

fn amazon(records: Range<usize>, _: &str) -> Vec<u8> {
    let mut out = "<?xml version='1.0' encoding='UTF-8'?><updates>".to_owned();
    for n in records {
        let _ = write!(
            out,
            "<update type='security'><id>ALAS2023-2024-{n}</id><references><reference id='CVE-2024-{n}' type='cve'/></references>\
             <pkglist><collection><package name='p{n}' epoch='1' version='1' release='1.amzn2023' arch='x86_64'/></collection></pkglist></update>"
        );
    }
    (out + "</updates>").into()
}

fn oval(records: Range<usize>, prefix: &str, platform: &str) -> Vec<u8> {
    let (mut definitions, mut tests, mut objects) = (String::new(), String::new(), String::new());
    for n in records {
        let _ = write!(
            definitions,
            "<definition id='{prefix}:def:{n}' class='patch'><metadata><title>t</title><affected family='unix'><platform>{platform}</platform>\
             </affected><reference source='CVE' ref_id='CVE-2024-{n}'/></metadata><criteria operator='AND'>\
             <criterion comment='{platform} is installed'/><criterion test_ref='t{n}' comment='p{n} is earlier than 0:9.3-8'/></criteria></definition>"
        );
        let _ = write!(tests, "<l:rpminfo_test id='t{n}'><l:object object_ref='o{n}'/><l:state state_ref='s'/></l:rpminfo_test>");
        let _ = write!(objects, "<l:rpminfo_object id='o{n}'><l:name>p{n}</l:name></l:rpminfo_object>");
    }
    format!(
        "<oval_definitions xmlns:l='x'><definitions>{definitions}</definitions><tests>{tests}</tests><objects>{objects}</objects>\
         <states><l:rpminfo_state id='s'><l:evr operation='less than'>0:9.3-8</l:evr></l:rpminfo_state></states></oval_definitions>"
    )
    .into()
}

fn photon(records: Range<usize>, _: &str) -> Vec<u8> {
    format!("[{}]", joined(records, |n| format!(r#"{{"cve_id": "CVE-2024-{n}", "pkg": "p{n}", "res_ver": "1-1.ph5", "status": "Fixed"}}"#)))
        .into()
}

fn nvd(records: Range<usize>, _: &str) -> Vec<u8> {
    let count = records.len();
    let records = joined(records, |n| format!(r#"{{"cve": {{"id": "CVE-2024-{n}", "vulnStatus": "Analyzed", "descriptions": []}}}}"#));
    format!(
        r#"{{"resultsPerPage": {count}, "totalResults": {count}, "format": "NVD_CVE", "version": "2.0", "vulnerabilities": [{records}]}}"#
    )
    .into()
}

fn arch(records: Range<usize>, _: &str) -> Vec<u8> {
    let group = |n| {
        format!(
            r#"{{"name": "AVG-{n}", "packages": ["p{n}"], "status": "Fixed", "severity": "High", "type": "t", "affected": "1-1", "fixed": "2-1",
            "ticket": null, "issues": ["CVE-2024-{n}"], "advisories": []}}"#
        )
    };
    format!("[{}]", joined(records, group)).into()
}

fn msrc(records: Range<usize>, _: &str) -> Vec<u8> {
    let vulnerabilities = joined(records, |n| {
        format!(
            r#"{{"CVE": "CVE-2024-{n}", "Title": {{"Value": "t"}}, "ProductStatuses": [{{"ProductID": ["11923"], "Type": 3}}], "Remediations":
            [{{"Type": 2, "Description": {{"Value": "5034129"}}, "ProductID": ["11923"], "FixedBuild": "10.0.20348.2227"}}]}}"#
        )
    });
    format!(
        r#"{{"DocumentPublisher": {{"ContactDetails": {{"Value": "secure@microsoft.com"}}}}, "DocumentTracking": {{}}, "ProductTree":
        {{"FullProductName": [{{"ProductID": "11923", "Value": "Windows Server 2022"}}]}}, "Vulnerability": [{vulnerabilities}]}}"#
    )
    .into()
}

fn epss(records: Range<usize>, date: &str) -> Vec<u8> {
    let rows: String = records.map(|n| format!("CVE-2024-{n},0.01234,0.5\n")).collect();
    format!("#model_version:v2025.03.14,score_date:{date}T00:00:00+0000\ncve,epss,percentile\n{rows}").into()
}

fn kev(records: Range<usize>, date: &str) -> Vec<u8> {
    let count = records.len();
    let entries = joined(records, |n| format!(r#"{{"cveID": "CVE-2024-{n}", "dateAdded": "2024-02-01", "dueDate": "2024-02-22"}}"#));
    format!(r#"{{"catalogVersion": "1", "dateReleased": "{date}T00:00:00Z", "count": {count}, "vulnerabilities": [{entries}]}}"#).into()
}

fn exploit_db(records: Range<usize>, _: &str) -> Vec<u8> {
    let rows: String =
        records.map(|n| format!("{n},exploits/{n}.py,\"A, \"\"quoted\"\" title\",2024-01-01,x,,,0,CVE-2024-{n},,\n")).collect();
    format!("id,file,description,date_published,author,date_added,date_updated,verified,codes,tags,aliases\n{rows}").into()
}

fn metasploit(records: Range<usize>, _: &str) -> Vec<u8> {
    let module = |n| {
        format!(
            r#""exploit/m{n}": {{"fullname": "exploit/m{n}", "rank": 600, "type": "exploit", "disclosure_date": "2024-01-01", "references": ["CVE-2024-{n}"]}}"#
        )
    };
    format!("{{{}}}", joined(records, module)).into()
}

fn nuclei(records: Range<usize>, _: &str) -> Vec<u8> {
    let line = |n| format!("{{\"ID\":\"CVE-2024-{n}\",\"Info\":{{\"Name\":\"x\"}},\"file_path\":\"http/cves/{n}.yaml\"}}\n");
    records.map(line).collect::<String>().into()
}

fn endoflife(records: Range<usize>, date: &str) -> Vec<u8> {
    let releases = joined(records, |n| format!(r#"{{"name": "{n}", "label": "{n}", "isEol": true, "eolFrom": "2020-01-01"}}"#));
    format!(r#"{{"generated_at": "{date}T00:00:00Z", "total": 1, "result": [{{"name": "debian", "releases": [{releases}]}}]}}"#).into()
}

/// What is served in a feed's place, each with what it is.
fn corruptions(case: &Case) -> Vec<(String, Vec<u8>)> {
    let good = (case.make)(RECORDS, TODAY);
    let packed = case.packing.pack(&good);
    let html = b"<!doctype html><html><head><title>Log in</title></head><body>Who are you?</body></html>".to_vec();
    let mut all: Vec<(String, Vec<u8>)> = vec![
        ("empty".into(), vec![]),
        ("a page to log in".into(), html.clone()),
        ("noise".into(), (0..4096_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()),
        ("zeros".into(), vec![0; 4096]),
        ("the beginning only".into(), packed[..16.min(packed.len())].to_vec()),
        ("shrunken to half".into(), case.packing.pack(&(case.make)(1000..1050, TODAY))),
        ("shrunken by a little more than a tenth".into(), case.packing.pack(&(case.make)(1000..1089, TODAY))),
        ("shrunken to one".into(), case.packing.pack(&(case.make)(1000..1001, TODAY))),
    ];
    // Not between two lines: a list of lines that ends there is a smaller list, and whether it is too small is asked above.
    all.extend((1..20).map(|part| (format!("cut at {part}/20"), packed[..packed.len() * part / 20 + 3].to_vec())));
    all.push(("cut by a byte".into(), packed[..packed.len() - 1 - usize::from(good.ends_with(b"\n"))].to_vec()));
    for other in cases().iter().filter(|other| other.packing == case.packing && other.feed != case.feed).take(3) {
        let same_kind = other.feed.split('/').next() == case.feed.split('/').next();
        if !same_kind {
            all.push((format!("another feed: {}", other.feed), case.packing.pack(&(other.make)(RECORDS, TODAY))));
        }
    }
    if case.dated {
        all.push(("older".into(), case.packing.pack(&(case.make)(RECORDS, YESTERDAY))));
    }
    if case.packing == Packing::Archive {
        // An archive is whole or not, wherever it is cut.
        all.extend(
            (1..20).map(|part| (format!("cut at {part}/19 of its beginning"), packed[..packed.len().min(600) * part / 20].to_vec())),
        );
        return all;
    }
    // What is unpacked is not the document either.
    let middle = good.len() / 2;
    let with = |at: usize, byte: u8| [&good[..at], &[byte], &good[at..]].concat();
    let wide = |order: fn(u16) -> [u8; 2], mark: [u8; 2]| {
        let text = String::from_utf8(good.clone()).unwrap();
        mark.into_iter().chain(text.encode_utf16().flat_map(order)).collect::<Vec<u8>>()
    };
    let mut inner: Vec<(String, Vec<u8>)> = vec![
        ("white space".into(), b" \n\n ".to_vec()),
        ("null".into(), b"null".to_vec()),
        ("an empty list".into(), b"[]".to_vec()),
        ("an empty object".into(), b"{}".to_vec()),
        ("a list of nothing known".into(), b"[{\"a\": 1}]".to_vec()),
        ("a text".into(), b"\"moved permanently\"".to_vec()),
        ("an empty root".into(), b"<updates/>".to_vec()),
        ("another root".into(), b"<rss><channel/></rss>".to_vec()),
        ("an error".into(), b"{\"error\": \"rate limit exceeded\", \"vulnerabilities\": []}".to_vec()),
        ("UTF-16, little end first".into(), wide(u16::to_le_bytes, [0xff, 0xfe])),
        ("UTF-16, big end first".into(), wide(u16::to_be_bytes, [0xfe, 0xff])),
        ("a byte that is no UTF-8".into(), with(middle, 0xff)),
        ("wrapped into a page".into(), [&html[..60], &good, b"</body></html>"].concat()),
    ];
    if !case.lines {
        inner.push(("twice".into(), [good.as_slice(), &good].concat()));
        inner.push(("with something behind".into(), [good.as_slice(), b" trailing"].concat()));
    }
    all.extend(inner.into_iter().map(|(what, bytes)| (what, case.packing.pack(&bytes))));
    all
}

struct Silent;

impl UpdateProgress for Silent {
    fn fetched(&self, _: &str, _: u64, _: Option<u64>) {}
    fn done(&self, _: &str, _: &FeedOutcome) {}
    fn compiling(&self) {}
}

struct Site {
    server: FileServer,
    folder: tempfile::TempDir,
    places: FeedPlaces,
}

impl Site {
    fn new() -> Self {
        let server = FileServer::start().unwrap();
        let base = server.url();
        let below = |path: &str| format!("{base}{path}");
        // Every one by name: a feed that is new is not forgotten here.
        let places = FeedPlaces {
            osv: below("/osv"),
            osv_ecosystems: vec!["npm".into()],
            debian_tracker: below("/debian.json"),
            alpine_secdb: below("/alpine"),
            alpine_releases: vec!["v3.20".into()],
            alpine_rejections: below("/rejections"),
            wolfi_secdb: below("/wolfi"),
            chainguard_secdb: below("/chainguard"),
            redhat_csaf: below("/vex"),
            suse_csaf: below("/suse/csaf-vex"),
            ubuntu_osv: below("/osv-all.tar.zst"),
            ubuntu_vex: below("/vex-all.tar.zst"),
            bottlerocket: below("/core-kit.zip"),
            rubysec: below("/ruby-advisory-db.zip"),
            friends_of_php: below("/security-advisories.zip"),
            amazon_linux: base.clone(),
            amazon_linux_repositories: vec!["al2023/core".into()],
            oracle_oval: below("/oracle.xml.bz2"),
            azurelinux_oval: below("/azure"),
            photon: below("/photon"),
            photon_releases: vec!["5.0".into()],
            nvd: below("/nvd"),
            nvd_years: vec!["2024".into()],
            nvd_api: below("/nvd-api"),
            nvd_api_key: FeedKey::default(),
            cve_list: below("/cvelistV5.zip"),
            cve_list_changes: below("/cves/deltaLog.json"),
            epss: below("/epss.csv.gz"),
            kev: below("/kev.json"),
            exploit_db: below("/files_exploits.csv"),
            metasploit: below("/metasploit.json"),
            nuclei: below("/cves.json"),
            endoflife: below("/full"),
            arch: below("/arch.json"),
            github: below("/github"),
            github_token: FeedKey::default(),
            msrc: below("/msrc"),
        };
        let months = r#"{"value": [{"ID": "2024-Jan", "CurrentReleaseDate": "2024-01-09T08:00:00Z"}]}"#;
        server.put("/msrc/updates", "1", months);
        server.put("/suse/csaf-vex/changes.csv", "1", "\"cve-2024-1000.json\",\"2026-11-19T10:00:00Z\"\n");
        server.put("/cves/deltaLog.json", "1", r#"[{"fetchTime": "2026-11-22T00:00:00.000Z", "new": [], "updated": []}]"#);
        server.put("/vex/archive_latest.txt", "1", "csaf_vex_2026-11-20.tar.zst");
        server.put("/vex/changes.csv", "1", "\"2024/cve-2024-1000.json\",\"2026-11-19T10:00:00+00:00\"\n");
        server.put("/al2023/core/mirrors/latest/x86_64/mirror.list", "1", format!("{base}/mirror\n"));
        Self { server, folder: tempfile::tempdir().unwrap(), places }
    }

    fn library(&self) -> Library {
        Library::new(self.folder.path())
    }

    /// Serves bytes in a feed's place; a repository's index promises what is served, as if its maker had made the mistake.
    fn serve(&self, case: &Case, tag: &str, bytes: Vec<u8>) {
        if case.feed.starts_with("amazon") {
            let sum: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            let index = format!(
                "<repomd><data type='updateinfo'><checksum type='sha256'>{sum}</checksum><location href='repodata/updateinfo.xml.gz'/></data></repomd>"
            );
            self.server.put("/mirror/repodata/repomd.xml", tag, index);
        }
        self.server.put(case.path, tag, bytes);
    }

    fn update(&self, case: &Case, days: i64) -> FeedOutcome {
        let feeds: Vec<Feed> = self.places.named(case.feed);
        assert_eq!(feeds.len(), 1, "{}", case.feed);
        let now = Timestamp::parse("2026-11-23T00:00:00Z").unwrap().plus_millis(days * DAY);
        Updater::new(&self.library(), now).run(&feeds, &Silent).unwrap().outcomes.remove(0).1
    }
}

/// No feed is without its row in one of the two tables.
#[test]
fn every_feed_is_corrupted() {
    let name = |feed: &str| feed.split('/').next().unwrap_or_default().to_owned();
    let rows: BTreeSet<String> = cases().iter().map(|case| name(case.feed)).chain(pages().map(|(feed, _)| name(feed))).collect();
    let feeds: BTreeSet<String> = Site::new().places.feeds().iter().map(|feed| name(&feed.name)).collect();
    assert_eq!(rows, feeds);
}

/// Services that answer in pages, each with a page of its own.
fn pages() -> [(&'static str, Vec<u8>); 2] {
    [("nvd/changes", nvd_page()), ("github", github_page())]
}

fn nvd_page() -> Vec<u8> {
    let records = joined(RECORDS, |n| format!(r#"{{"cve": {{"id": "CVE-2024-{n}", "vulnStatus": "Analyzed", "descriptions": []}}}}"#));
    let head = r#""resultsPerPage": 100, "startIndex": 0, "totalResults": 100, "format": "NVD_CVE", "version": "2.0""#;
    format!(r#"{{{head}, "vulnerabilities": [{records}]}}"#).into()
}

fn github_page() -> Vec<u8> {
    let record = |n| {
        format!(
            r#"{{"ghsa_id": "GHSA-{n}", "cve_id": "CVE-2024-{n}", "summary": "s", "updated_at": "2026-11-20T00:00:00Z", "vulnerabilities":
            [{{"package": {{"ecosystem": "npm", "name": "p{n}"}}, "vulnerable_version_range": "< 2.0.0", "first_patched_version": "2.0.0"}}]}}"#
        )
    };
    format!("[{}]", joined(RECORDS, record)).into()
}

/// A page is what changed and not the whole, so that one may be smaller than the one before. All else is refused as in a file.
#[test]
fn forty_corruptions_of_a_page_are_refused() {
    for (feed, good) in pages() {
        let middle = good.len() / 2;
        let html = b"<!doctype html><html><head><title>Log in</title></head><body>Who are you?</body></html>".to_vec();
        let mut bad: Vec<(String, Vec<u8>)> = vec![
            ("empty".into(), vec![]),
            ("a page to log in".into(), html.clone()),
            ("noise".into(), (0..4096_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()),
            ("zeros".into(), vec![0; 4096]),
            ("white space".into(), b" \n ".to_vec()),
            ("null".into(), b"null".to_vec()),
            ("an empty object".into(), b"{}".to_vec()),
            ("a text".into(), b"\"moved permanently\"".to_vec()),
            ("an error".into(), b"{\"message\": \"API rate limit exceeded\"}".to_vec()),
            ("a list of nothing known".into(), b"[{\"a\": 1}]".to_vec()),
            ("another root".into(), b"<rss><channel/></rss>".to_vec()),
            ("a byte that is no UTF-8".into(), [&good[..middle], &[0xff], &good[middle..]].concat()),
            ("wrapped into a page".into(), [&html[..60], &good, b"</body></html>"].concat()),
            ("twice".into(), [good.as_slice(), &good].concat()),
            ("with something behind".into(), [good.as_slice(), b" trailing"].concat()),
            ("another feed".into(), debian(RECORDS, TODAY)),
        ];
        bad.extend((1..25).map(|part| (format!("cut at {part}/25"), good[..good.len() * part / 25].to_vec())));
        assert!(bad.len() >= 40, "{}", bad.len());
        let answer = std::sync::Arc::new(std::sync::Mutex::new(good.clone()));
        let answering = std::sync::Arc::clone(&answer);
        let server = Responder::start(move |_| Reply::Bytes(200, answering.lock().unwrap().clone())).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let library = Library::new(folder.path());
        let places = FeedPlaces { nvd_api: server.url(), github: server.url(), ..FeedPlaces::default() };
        let update = |days: i64| {
            let now = Timestamp::parse("2026-11-23T00:00:00Z").unwrap().plus_millis(days * DAY);
            Updater::new(&library, now).run(&places.named(feed), &Silent).unwrap().outcomes.remove(0).1
        };
        assert_eq!(update(0), FeedOutcome::Updated { records: 100, quarantined: 0 }, "{feed}");
        let state = library.current().unwrap();
        for (days, (what, bytes)) in (1..).zip(bad) {
            *answer.lock().unwrap() = bytes;
            let outcome = update(days);
            assert!(matches!(&outcome, FeedOutcome::Refused(why) if !why.is_empty()), "{feed}, {what}: {outcome:?}");
            assert_eq!(library.current().unwrap(), state, "{feed}, {what}: the last good state stays");
        }
    }
}

#[test]
fn forty_corruptions_of_every_feed_are_refused() {
    let cases = cases();
    std::thread::scope(|scope| {
        for part in cases.chunks(cases.len().div_ceil(4)) {
            scope.spawn(|| part.iter().for_each(refuses_forty_corruptions));
        }
    });
}

fn refuses_forty_corruptions(case: &Case) {
    let site = Site::new();
    site.serve(case, "good", case.packing.pack(&(case.make)(RECORDS, TODAY)));
    assert_eq!(site.update(case, 0), FeedOutcome::Updated { records: 100, quarantined: 0 }, "{}", case.feed);
    let good = site.library().current().unwrap();
    let corruptions = corruptions(case);
    assert!(corruptions.len() >= 40, "{}: {}", case.feed, corruptions.len());
    for (number, (what, bytes)) in corruptions.into_iter().enumerate() {
        site.serve(case, &format!("bad-{number}"), bytes);
        // Each later by more than a week (or month) than the one before, so that the whole is asked for and no list of changes.
        let outcome = site.update(case, case.days * (number as i64 + 1));
        assert!(matches!(&outcome, FeedOutcome::Refused(why) if !why.is_empty()), "{}, {what}: {outcome:?}", case.feed);
        assert_eq!(site.library().current().unwrap(), good, "{}, {what}: the last good state stays", case.feed);
    }
    // And what is good again is taken again.
    site.serve(case, "better", case.packing.pack(&(case.make)(1000..1101, "2026-11-24")));
    assert_eq!(site.update(case, 3000), FeedOutcome::Updated { records: 101, quarantined: 0 }, "{}", case.feed);
}
