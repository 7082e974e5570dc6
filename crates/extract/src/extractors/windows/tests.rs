use super::super::read_bytes;
use crate::{Extractors, FileReport};
use lestrade_model::{Manager, ProblemKind};
use lestrade_testkit::{HiveKey, windows_software};

const PATH: &str = "Windows/System32/config/SOFTWARE";
const PACKAGES: &[(&str, u32)] = &[
    ("Microsoft-Windows-ServerCore-Package~31bf3856ad364e35~amd64~~10.0.20348.1", 112),
    ("Package_for_KB5012170~31bf3856ad364e35~amd64~~20348.880.1.1", 112),
    ("Package_1_for_KB5012171~31bf3856ad364e35~amd64~~20348.880.1.1", 112),
    ("Package_for_KB5013630~31bf3856ad364e35~amd64~~10.0.9028.4", 80),
    ("Package_for_KB5014671~31bf3856ad364e35~amd64~~20348.700.1.1", 64),
    ("Package_for_KB5017399~31bf3856ad364e35~amd64~~20348.740.1.1", 0),
    ("Package_for_RollupFix~31bf3856ad364e35~amd64~~20348.1366.1.6", 112),
];

fn server(installation: &str) -> FileReport {
    read_bytes(PATH, &windows_software("Windows Server 2022 Datacenter", installation, (20348, 1366), PACKAGES))
}

#[test]
fn a_system_is_its_product_its_build_and_what_is_installed() {
    let report = server("Server");
    assert_eq!(report.problems, []);
    let os = report.os.unwrap();
    assert_eq!((os.id.as_str(), os.version.as_str(), os.to_string().as_str()), ("windows", "Windows Server 2022", "Windows Server 2022"));
    assert_eq!(os.ecosystem().unwrap().to_string(), "Windows:Windows Server 2022");
    let found = &report.found[0];
    assert_eq!((found.name.as_str(), found.version.as_str()), ("Windows Server 2022", "10.0.20348.1366"));
    assert_eq!(found.module.as_deref(), Some("KB5012170 KB5013630"), "what is only there, or was taken away, is not installed");
    assert_eq!((found.arch.as_deref(), found.manager), (Some("amd64"), Manager::WindowsServicing));
}

#[test]
fn a_server_without_a_desktop_is_a_product_of_its_own() {
    assert_eq!(server("Server Core").found[0].name, "Windows Server 2022 (Server Core installation)");
    assert_eq!(server("Nano Server").problems[0].0, ProblemKind::Unsupported);
}

#[test]
fn systems_before_windows_10_say_their_version_otherwise() {
    let version = HiveKey::new("CurrentVersion")
        .text("ProductName", "Windows Server 2012 R2 Standard")
        .text("InstallationType", "Server")
        .text("CurrentVersion", "6.3")
        .text("CurrentBuild", "9600")
        .text("BuildLabEx", "9600.17415.amd64fre.winblue_r4.141028-1500");
    let microsoft = HiveKey::new("MICROSOFT").key(HiveKey::new("Windows NT").key(version));
    let report = read_bytes(PATH, &HiveKey::new("ROOT").key(microsoft).hive());
    assert_eq!((report.found[0].name.as_str(), report.found[0].version.as_str()), ("Windows Server 2012 R2", "6.3.9600"));
    assert_eq!(report.problems[0].0, ProblemKind::Malformed, "that it has no list of packages is said");
}

#[test]
fn a_build_that_is_not_known_is_listed_and_said() {
    let report = read_bytes(PATH, &windows_software("Windows Server 2099", "Server", (99999, 1), PACKAGES));
    assert_eq!((report.found[0].name.as_str(), report.problems[0].0), ("Windows Server 2099", ProblemKind::Unsupported));
}

#[test]
fn a_registry_whose_log_was_not_written_back_is_said() {
    let mut hive = windows_software("Windows Server 2022 Datacenter", "Server", (20348, 1366), PACKAGES);
    hive[4] += 1;
    let report = read_bytes(PATH, &hive);
    assert_eq!((report.found.len(), report.problems[0].0), (1, ProblemKind::Unsupported));
}

#[test]
fn a_hive_that_is_cut_or_lies_harms_nothing() {
    let hive = windows_software("Windows Server 2022 Datacenter", "Server", (20348, 1366), PACKAGES);
    for cut in (0..hive.len()).step_by(997) {
        assert!(!read_bytes(PATH, &hive[..cut]).problems.is_empty(), "cut at {cut}");
    }
    assert_eq!(read_bytes(PATH, b"MZ").problems.len(), 1);
    let extractors = Extractors::new(super::super::all());
    // Every byte is once as great as can be, and once turned round.
    for at in (0..hive.len().min(9000)).filter(|at| hive[*at] != 0 || *at < 4400) {
        for byte in [0xff, hive[at] ^ 0x80, 0] {
            let mut lying = hive.clone();
            lying[at] = byte;
            let _ = extractors.read(PATH, &lying);
        }
    }
}

#[test]
fn keys_that_go_round_in_a_circle_end() {
    let mut hive = windows_software("Windows Server 2022 Datacenter", "Server", (20348, 1366), PACKAGES);
    // Lists of lists name themselves.
    let at = hive.windows(2).position(|pair| pair == b"ri").unwrap();
    let own = (at - 4 - 4096) as u32;
    for place in hive[at + 4..at + 12].chunks_exact_mut(4) {
        place.copy_from_slice(&own.to_le_bytes());
    }
    assert_eq!(read_bytes(PATH, &hive).found.len(), 1);
}
