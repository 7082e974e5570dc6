//! What managed instances tell of themselves through SSM.
//!
//! `AWS:Application` lists packages as their manager prints them. Of RPMs it names the source package, of Debian's it does not:
//! Debian's and Ubuntu's advisories are about source packages, so what cannot be judged is told and never passed over.
//!
//! Of Windows `AWS:WindowsUpdate` lists the updates that are installed, by their articles. How far its build goes SSM does not say, only
//! of which release it is: the updates alone tell.

use crate::{Listing, Session};
use lestrade_model::{
    Component, Ecosystem, Family, Inventory, Kb, Manager, Occurrence, OsRelease, Problem, ProblemKind, Scope, Timestamp,
    WindowsArchitecture, WindowsInstallation, windows_product_of,
};
use lestrade_wire::Transport;
use lestrade_wire::ssm::{Api, InstanceInformation, PingStatus};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The most that SSM puts on a page.
const PAGE: i32 = 50;
/// What os-release would call Windows, if it had one.
const WINDOWS: &str = "windows";
/// Where the packages of an inventory are said to be.
const PLACE: &str = "AWS:Application";
const UPDATES: &str = "AWS:WindowsUpdate";

/// An instance with an agent that SSM knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagedInstance {
    /// `i-…`, or `mi-…` for a machine outside AWS.
    pub id: String,
    /// Its operating system, in the words of its os-release file.
    pub os: Option<OsRelease>,
    /// The version of its system, as SSM says it: `10.0.20348`.
    pub version: String,
    /// Whether the agent answers.
    pub online: bool,
    /// When it was heard of last.
    pub seen: Option<Timestamp>,
}

impl ManagedInstance {
    /// Whether it is Windows, where no shell script runs.
    #[must_use]
    pub fn is_windows(&self) -> bool {
        self.os.as_ref().is_some_and(|os| os.id == WINDOWS)
    }
}

/// The instances that SSM manages.
pub async fn managed_instances<T: Transport + Clone>(session: &Session<T>) -> Listing<ManagedInstance> {
    let input = json!({ "MaxResults": PAGE });
    let listing = session.list_typed::<_, InstanceInformation>(Api::DescribeInstanceInformation, input, "InstanceInformationList").await;
    listing.map("managed instances", |information| {
        let id = information.instance_id.filter(|id| !id.is_empty())?;
        let version = information.platform_version.unwrap_or_default();
        let os = system(information.platform_name.as_deref().unwrap_or_default(), &version);
        let online = information.ping_status == Some(PingStatus::Online);
        Some(ManagedInstance { id, os, version, online, seen: information.last_ping_date_time.map(Timestamp::from) })
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
    let place = if instance.is_windows() { UPDATES } else { PLACE };
    let input = json!({ "InstanceId": instance.id, "TypeName": place, "MaxResults": PAGE });
    let Listing { items, missing } = session.list(Api::ListInventoryEntries, input, "Entries").await;
    match missing {
        Some(error) => Err(error),
        None if items.is_empty() => Ok(None),
        None if instance.is_windows() => Ok(Some(updates(&items, instance))),
        None => Ok(Some(inventory(&items, instance.os.clone()))),
    }
}

/// A bucket into which a resource data sync writes what SSM knows of instances, and what stands before its objects' keys.
///
/// Source: Systems Manager's user guide, "Creating a resource data sync for Inventory".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InventoryBucket {
    bucket: String,
    prefix: String,
}

impl InventoryBucket {
    /// Of `s3://bucket` or `s3://bucket/prefix`; none when a text is neither.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (bucket, prefix) = text.strip_prefix("s3://").map(|rest| rest.split_once('/').unwrap_or((rest, "")))?;
        let is_name = !bucket.is_empty() && bucket.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'));
        let prefix = prefix.trim_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        is_name.then(|| Self { bucket: bucket.to_owned(), prefix })
    }

    /// The packages of an instance, as the sync wrote them last; none when it never did. `os` is what the instance is known to run;
    /// where it is not known, the sync says that too.
    ///
    /// # Errors
    /// When an object cannot be read, or is about another instance.
    pub async fn inventory_of<T: Transport + Clone>(
        &self,
        session: &Session<T>,
        scope: &Scope,
        instance: &str,
        os: Option<OsRelease>,
    ) -> Result<Option<Inventory>, crate::Error> {
        let Some(entries) = self.entries(session, PLACE, scope, instance).await? else { return Ok(None) };
        let os = match os {
            Some(os) => Some(os),
            None => {
                let told = self.entries(session, "AWS:InstanceInformation", scope, instance).await?.unwrap_or_default();
                let text = |key: &str| told.first().and_then(|entry| entry[key].as_str()).unwrap_or_default();
                system(text("PlatformName"), text("PlatformVersion"))
            }
        };
        Ok(Some(inventory(&entries, os)))
    }

    /// The entries of one type of an instance's inventory: a line of JSON for each.
    async fn entries<T: Transport + Clone>(
        &self,
        session: &Session<T>,
        kind: &str,
        scope: &Scope,
        instance: &str,
    ) -> Result<Option<Vec<Value>>, crate::Error> {
        let Scope { account, region, .. } = scope;
        let place = format!("{kind}/accountid={account}/region={region}/resourcetype=ManagedInstanceInventory/{instance}.json");
        let Some(object) = session.buckets().read(&self.bucket, &format!("{}{place}", self.prefix)).await? else { return Ok(None) };
        let unusable = |why: &str| crate::Error::Document(format!("the object {place} of the data sync: {why}"));
        let text = String::from_utf8(object).map_err(|_| unusable("it is no text"))?;
        let mut entries = Vec::new();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            // Half a list of packages would close findings.
            let entry: Value = serde_json::from_str(line).map_err(|_| unusable("a line of it is no JSON"))?;
            if entry["resourceId"].as_str().is_some_and(|id| id != instance) {
                return Err(unusable("it is about another instance"));
            }
            entries.push(entry);
        }
        Ok(Some(entries))
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
    if let Some(product) = name.strip_prefix("Microsoft ").filter(|name| name.starts_with("Windows ")) {
        return Some(OsRelease {
            id: WINDOWS.to_owned(),
            version: server(product, version).unwrap_or_default(),
            pretty_name: product.to_owned(),
        });
    }
    let (_, id) = IDS.iter().find(|(prefix, _)| name.starts_with(prefix))?;
    Some(OsRelease { id: (*id).to_owned(), version: version.to_owned(), pretty_name: format!("{name} {version}").trim().to_owned() })
}

/// The product of a server. SSM says neither whether it has a desktop, which most have, nor for which processors a client is: of
/// clients the product is not known.
fn server(name: &str, version: &str) -> Option<String> {
    let build = version.split('.').nth(2)?.parse().ok()?;
    let is_server = name.starts_with("Windows Server ");
    is_server.then(|| windows_product_of(build, WindowsInstallation::Server, WindowsArchitecture::X64)).flatten()
}

/// Windows with the updates that are installed in it.
fn updates(entries: &[Value], instance: &ManagedInstance) -> Inventory {
    let problem = |kind, detail: String| Problem { path: UPDATES.to_owned(), kind, detail };
    let Some(os) = instance.os.clone().filter(|os| !os.version.is_empty()) else {
        let name = instance.os.as_ref().map_or("Windows", |os| os.pretty_name.as_str());
        let detail = format!("{name} {} is none of those whose updates are known by what SSM says of it", instance.version);
        return Inventory::assemble(instance.os.clone(), Vec::new(), vec![problem(ProblemKind::UnknownSystem, detail)]);
    };
    let read: Vec<Option<Kb>> = entries.iter().map(|entry| entry["HotFixId"].as_str().and_then(|id| id.parse().ok())).collect();
    let installed: BTreeSet<Kb> = read.iter().copied().flatten().collect();
    let unread = read.iter().filter(|update| update.is_none()).count();
    let unread = (unread > 0).then(|| problem(ProblemKind::Malformed, format!("{unread} updates without an article")));
    let system = Component::new(Ecosystem::release(Family::Windows, &os.version), &os.version, &instance.version);
    let (arch, manager) = (None, Manager::WindowsServicing);
    let found = (system.with_updates(&installed), Occurrence { component: 0, path: UPDATES.to_owned(), layer: None, arch, manager });
    Inventory::assemble(Some(os), vec![found], unread.into_iter().collect())
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
    use crate::script::{self, Script};

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

    #[tokio::test]
    async fn a_data_sync_is_read_whole_or_not_at_all() {
        let place = InventoryBucket::parse("s3://inventories.eu/sync/").unwrap();
        assert_eq!(InventoryBucket::parse("s3://b"), Some(InventoryBucket { bucket: "b".into(), prefix: String::new() }));
        for bad in ["", "b", "s3://", "s3://a_b?c", "https://b/x"] {
            assert_eq!(InventoryBucket::parse(bad), None, "{bad}");
        }
        let scope = Scope::new("aws", "111122223333", "eu-west-1").unwrap();
        let read = async |responses: Vec<lestrade_wire::HttpResponse>| {
            place.inventory_of(&script::session(&Script::of(responses)), &scope, "i-1", None).await
        };
        let packages = "{\"Name\": \"bash\", \"Version\": \"5\", \"Release\": \"1.el9\", \"resourceId\": \"i-1\"}\n\n\
                        {\"Name\": \"zlib\", \"Version\": \"1\", \"Release\": \"1.el9\"}\n";
        let system = "{\"PlatformName\": \"AlmaLinux\", \"PlatformVersion\": \"9.4\", \"resourceId\": \"i-1\"}";
        let found = read(vec![script::ok(packages), script::ok(system)]).await.unwrap().unwrap();
        assert_eq!((found.components.len(), found.os.unwrap().id.as_str()), (2, "almalinux"));

        let absent = || script::told(404, "<Error><Code>NoSuchKey</Code></Error>");
        assert!(read(vec![absent()]).await.unwrap().is_none());
        let unknown = read(vec![script::ok(packages), absent()]).await.unwrap().unwrap();
        assert_eq!(unknown.problems[0].kind, ProblemKind::UnknownSystem);
        let cut = &packages[..packages.len() - 4];
        let theirs = packages.replace("i-1", "i-2");
        for body in [cut, theirs.as_str(), "<html>"] {
            assert!(read(vec![script::ok(body)]).await.is_err(), "{body}");
        }
        assert!(read(vec![script::told(403, "<Error><Code>AccessDenied</Code></Error>")]).await.is_err_and(|error| error.is_denied()));
    }

    #[test]
    fn windows_has_its_updates() {
        let instance = |name: &str, version: &str| ManagedInstance {
            id: "i-1".into(),
            os: system(name, version),
            version: version.into(),
            online: true,
            seen: None,
        };
        let entries = [
            json!({"HotFixId": "KB5021249", "Description": "Security Update"}),
            json!({"HotFixId": "KB5012170"}),
            json!({"HotFixId": "File 1"}),
        ];
        let found = updates(&entries, &instance("Microsoft Windows Server 2022 Datacenter", "10.0.20348"));
        let component = &found.components[0];
        assert_eq!((component.name.as_str(), component.version.as_str()), ("Windows Server 2022", "10.0.20348"));
        assert_eq!(component.module.as_deref(), Some("KB5012170 KB5021249"));
        assert_eq!(found.problems[0].kind, ProblemKind::Malformed);
        for (name, version) in [("Microsoft Windows 11 Pro", "10.0.22631"), ("Microsoft Windows Server 2099", "10.0.99999")] {
            let unknown = instance(name, version);
            assert!(unknown.is_windows());
            assert_eq!(updates(&entries, &unknown).problems[0].kind, ProblemKind::UnknownSystem, "{name}");
        }
    }

    #[test]
    fn a_system_that_is_not_known_is_told() {
        let found = inventory(&[json!({"Name": "x", "Version": "1"})], system("Plan 9", "4"));
        assert!(found.components.is_empty());
        assert_eq!(found.problems[0].kind, ProblemKind::UnknownSystem);
    }
}
