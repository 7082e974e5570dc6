//! What managed instances tell of themselves through SSM.
//!
//! `AWS:Application` lists packages as their manager prints them. Of RPMs it names the source package, of Debian's it does not:
//! Debian's and Ubuntu's advisories are about source packages, so what cannot be judged is told and never passed over.

use crate::{Listing, Session};
use lestrade_model::{Component, Family, Inventory, Manager, Occurrence, OsRelease, Problem, ProblemKind, Timestamp};
use lestrade_wire::Transport;
use lestrade_wire::ssm::{Api, InstanceInformation, PingStatus};
use serde_json::{Value, json};

/// The most that SSM puts on a page.
const PAGE: i32 = 50;
/// Where the packages of an inventory are said to be.
const PLACE: &str = "AWS:Application";

/// An instance with an agent that SSM knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagedInstance {
    /// `i-…`, or `mi-…` for a machine outside AWS.
    pub id: String,
    /// Its operating system, in the words of its os-release file.
    pub os: Option<OsRelease>,
    /// Whether the agent answers.
    pub online: bool,
    /// When it was heard of last.
    pub seen: Option<Timestamp>,
}

/// The instances that SSM manages.
pub async fn managed_instances<T: Transport + Clone>(session: &Session<T>) -> Listing<ManagedInstance> {
    let input = json!({ "MaxResults": PAGE });
    let listing = session.list_typed::<_, InstanceInformation>(Api::DescribeInstanceInformation, input, "InstanceInformationList").await;
    listing.map("managed instances", |information| {
        let id = information.instance_id.filter(|id| !id.is_empty())?;
        let os =
            system(information.platform_name.as_deref().unwrap_or_default(), information.platform_version.as_deref().unwrap_or_default());
        let online = information.ping_status == Some(PingStatus::Online);
        Some(ManagedInstance { id, os, online, seen: information.last_ping_date_time.map(Timestamp::from) })
    })
}

/// The packages of a managed instance; none when it never told any.
///
/// # Errors
/// When a page did not come: half a list of packages would close findings.
pub async fn inventory_of<T: Transport + Clone>(
    session: &Session<T>,
    instance: &ManagedInstance,
) -> Result<Option<Inventory>, crate::Error> {
    let input = json!({ "InstanceId": instance.id, "TypeName": PLACE, "MaxResults": PAGE });
    let Listing { items, missing } = session.list(Api::ListInventoryEntries, input, "Entries").await;
    match missing {
        Some(error) => Err(error),
        None if items.is_empty() => Ok(None),
        None => Ok(Some(inventory(&items, instance.os.clone()))),
    }
}

/// The system that SSM names, in the words of os-release files. What it prints is the file's `NAME` and `VERSION_ID`.
fn system(name: &str, version: &str) -> Option<OsRelease> {
    const IDS: [(&str, &str); 17] = [
        ("AlmaLinux", "almalinux"),
        ("Amazon Linux", "amzn"),
        ("Azure Linux", "azurelinux"),
        ("Bottlerocket", "bottlerocket"),
        ("CentOS", "centos"),
        ("Common Base Linux Mariner", "mariner"),
        ("Debian GNU/Linux", "debian"),
        ("Fedora", "fedora"),
        ("Microsoft Azure Linux", "azurelinux"),
        ("Oracle Linux", "ol"),
        ("Red Hat Enterprise Linux", "rhel"),
        ("Rocky Linux", "rocky"),
        ("SLES", "sles"),
        ("SUSE Linux Enterprise Server", "sles"),
        ("Ubuntu", "ubuntu"),
        ("VMware Photon", "photon"),
        ("openSUSE Leap", "opensuse-leap"),
    ];
    let (_, id) = IDS.iter().find(|(prefix, _)| name.starts_with(prefix))?;
    Some(OsRelease { id: (*id).to_owned(), version: version.to_owned(), pretty_name: format!("{name} {version}").trim().to_owned() })
}

fn inventory(entries: &[Value], os: Option<OsRelease>) -> Inventory {
    let problem = |kind, detail: &str| Problem { path: PLACE.to_owned(), kind, detail: detail.to_owned() };
    let Some(ecosystem) = os.as_ref().and_then(OsRelease::ecosystem) else {
        let detail = "the operating system is not one whose packages are judged";
        return Inventory::assemble(os, Vec::new(), vec![problem(ProblemKind::UnknownSystem, detail)]);
    };
    let debian = matches!(ecosystem.family, Family::Debian | Family::Ubuntu);
    let manager = if debian { Manager::Dpkg } else { Manager::Rpm };
    let mut problems = Vec::new();
    let mut found = Vec::new();
    let mut unread = 0;
    for entry in entries {
        let text = |key: &str| entry[key].as_str().map(str::trim).filter(|text| !matches!(*text, "" | "(none)"));
        let (Some(name), Some(version)) = (text("Name"), text("Version")) else {
            unread += 1;
            continue;
        };
        let mut component = Component::new(ecosystem.clone(), name, &evr(text("Epoch"), version, text("Release")));
        if let Some((source, version)) = text("PackageId").and_then(source_of) {
            component = component.from_source(&source, &version);
        }
        let arch = text("Architecture").map(str::to_owned);
        found.push((component, Occurrence { component: 0, path: PLACE.to_owned(), layer: None, arch, manager }));
    }
    if debian && !found.is_empty() {
        problems.push(problem(
            ProblemKind::Unsupported,
            "SSM does not name the source packages that Debian's and Ubuntu's advisories are about: packages that are named otherwise \
             are not judged",
        ));
    }
    if unread > 0 {
        problems.push(problem(ProblemKind::Malformed, &format!("{unread} entries without a name or a version")));
    }
    Inventory::assemble(os, found, problems)
}

/// `epoch:version-release`, of which the version may hold the others already.
pub(crate) fn evr(epoch: Option<&str>, version: &str, release: Option<&str>) -> String {
    let mut out = String::new();
    if let Some(epoch) = epoch.filter(|epoch| *epoch != "0" && !version.contains(':')) {
        out = format!("{epoch}:");
    }
    out.push_str(version);
    if let Some(release) = release {
        out.push('-');
        out.push_str(release);
    }
    out
}

/// The source package of an RPM: `openssl-3.0.8-1.amzn2023.0.3.src.rpm`.
pub(crate) fn source_of(package: &str) -> Option<(String, String)> {
    let whole = package.strip_suffix(".src.rpm").or_else(|| package.strip_suffix(".nosrc.rpm"))?;
    let (rest, release) = whole.rsplit_once('-')?;
    let (name, version) = rest.rsplit_once('-')?;
    Some((name.to_owned(), format!("{version}-{release}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rpms_have_their_source_and_debians_say_that_theirs_is_unknown() {
        let entries = [
            json!({"Name": "openssl-libs", "Epoch": "1", "Version": "3.0.8", "Release": "1.amzn2023.0.3",
            "Architecture": "x86_64", "PackageId": "openssl-3.0.8-1.amzn2023.0.3.src.rpm"}),
            json!({"Name": "gpg-pubkey"}),
        ];
        let found = inventory(&entries, system("Amazon Linux", "2023"));
        let component = &found.components[0];
        assert_eq!((component.name.as_str(), component.version.as_str()), ("openssl-libs", "1:3.0.8-1.amzn2023.0.3"));
        assert_eq!(component.source.as_ref().unwrap().name, "openssl");
        assert_eq!(found.problems.len(), 1);

        let found = inventory(&[json!({"Name": "libssl3", "Version": "3.0.11-1~deb12u2"})], system("Debian GNU/Linux", "12"));
        assert_eq!(found.components[0].version, "3.0.11-1~deb12u2");
        assert!(found.problems[0].detail.contains("source packages"));
    }

    #[test]
    fn a_system_that_is_not_known_is_told() {
        let found = inventory(&[json!({"Name": "x", "Version": "1"})], system("Plan 9", "4"));
        assert!(found.components.is_empty());
        assert_eq!(found.problems[0].kind, ProblemKind::UnknownSystem);
    }
}
