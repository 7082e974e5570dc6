//! A finding in Inspector's own shape, and the event that tells of it.
//!
//! The members are those of botocore's `inspector2` model 1.44.5; the values follow Inspector's real findings where those differ
//! from the model. Times are epoch seconds in the API and Java's `Date.toString` with milliseconds in events.

use lestrade_findings::{AffectedPackage, FindingView, FixAvailable, PathStep, resource_type};
use lestrade_model::{
    Component, FindingKey, FindingStatus, FunctionDetails, ImageUse, InstanceDetails, MachineImageDetails, Manager, Resource,
    ResourceDetails, ResourceKey, Score, Timestamp,
};
use serde_json::{Map, Value, json};

/// How times are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// A number: seconds since the epoch, with fraction. The API.
    EpochSeconds,
    /// `Wed Sep 04 16:59:44.356 UTC 2024`. Events.
    Java,
}

impl Times {
    fn write(self, at: Timestamp) -> Value {
        match self {
            Self::EpochSeconds => json!(at.as_seconds()),
            Self::Java => jiff::Timestamp::from_millisecond(at.as_millis())
                .map_or(Value::Null, |at| Value::String(at.strftime("%a %b %d %H:%M:%S%.3f UTC %Y").to_string())),
        }
    }
}

/// An instant as events write it.
pub(crate) fn read_java(text: &str) -> Option<Timestamp> {
    let read = jiff::fmt::strtime::parse("%a %b %d %H:%M:%S%.f UTC %Y", text).ok()?.to_datetime().ok()?;
    let instant = read.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    Some(Timestamp::from_millis(instant.as_millisecond()))
}

/// The longest description; Inspector cuts there too.
const MAX_DESCRIPTION: usize = 1024;
/// The most layers of a function; Lambda allows as many.
const MAX_LAYERS: usize = 5;
/// The most steps of a network path.
const MAX_STEPS: usize = 30;
/// The most vulnerable packages of one finding that are written out.
const MAX_PACKAGES: usize = 100;

/// A finding.
#[must_use]
pub fn finding(view: &FindingView, times: Times) -> Value {
    let assessment = &view.assessment;
    let mut out = json!({
        "awsAccountId": view.resource.key.scope.account,
        "description": description(view),
        "findingArn": view.arn.as_str(),
        "firstObservedAt": times.write(view.first_observed),
        "lastObservedAt": times.write(view.last_observed),
        "remediation": {"recommendation": {"text": remediation(view)}},
        // Its place among the members; what it holds is moved in below, where `json!` would copy it.
        "resources": [],
        "severity": view.severity.as_str(),
        "status": view.status.as_str(),
        "title": view.title,
        "type": view.key.finding_type().as_str(),
        "updatedAt": times.write(view.updated),
    });
    out["resources"] = Value::Array(vec![in_use(resource(&view.resource, times), &view.uses, times)]);
    if let Some(condition) = &assessment.condition {
        if let FindingKey::Network { protocol, ports: (first, last), .. } = &condition.key {
            out["networkReachabilityDetails"] = json!({
                "networkPath": {"steps": condition.steps.iter().take(MAX_STEPS).map(step).collect::<Vec<_>>()},
                "openPortRange": {"begin": first, "end": last},
                "protocol": protocol.as_str(),
            });
        } else {
            // Clients look for it in every finding of this type.
            out["packageVulnerabilityDetails"] = json!({
                "vulnerabilityId": assessment.id, "source": "ENDOFLIFE_DATE", "vulnerablePackages": [],
                "cvss": [], "referenceUrls": [], "relatedVulnerabilities": [],
            });
        }
        return out;
    }
    out["exploitAvailable"] = json!(if assessment.exploit_available() { "YES" } else { "NO" });
    out["fixAvailable"] = json!(view.fix_available.as_str());
    out["packageVulnerabilityDetails"] = details(view, times);
    if let (Some(score), Some(decided)) = (view.inspector_score(), &assessment.decided_by) {
        let adjusted = view.reach().adjust(decided);
        let because = adjusted.as_ref().and_then(|_| view.reach().adjustment());
        let adjustment = |(_, reason): (char, &str)| json!({"metric": "AV", "reason": reason});
        out["inspectorScore"] = json!(score);
        out["inspectorScoreDetails"] = json!({"adjustedCvss": {
            "adjustments": because.map(adjustment).into_iter().collect::<Vec<_>>(),
            "cvssSource": decided.source.0,
            "score": score,
            "scoreSource": decided.source.0,
            "scoringVector": adjusted.as_ref().unwrap_or(&decided.cvss).vector,
            "version": decided.cvss.version.as_str(),
        }});
    }
    if let Some(epss) = assessment.epss {
        out["epss"] = json!({"score": epss});
    }
    out
}

fn description(view: &FindingView) -> String {
    let text = if view.assessment.details.is_empty() { &view.assessment.summary } else { &view.assessment.details };
    match text.chars().count() {
        0 => format!("{} affects {}", view.assessment.id, view.title),
        length if length <= MAX_DESCRIPTION => text.clone(),
        _ => {
            let kept: String = text.chars().take(MAX_DESCRIPTION - "...Truncated".len()).collect();
            format!("{kept}...Truncated")
        }
    }
}

fn step(step: &PathStep) -> Value {
    json!({"componentId": step.id, "componentType": step.kind})
}

fn remediation(view: &FindingView) -> &str {
    if let Some(condition) = &view.assessment.condition {
        return &condition.remediation;
    }
    match (view.status, view.fix_available) {
        (FindingStatus::Closed, _) | (_, FixAvailable::No) => "None Provided",
        _ => "Upgrade your installed software packages to the proposed fixed in version and release.",
    }
}

fn details(view: &FindingView, times: Times) -> Value {
    let assessment = &view.assessment;
    let mut out = json!({
        "cvss": [],
        "referenceUrls": assessment.references.iter().take(10).collect::<Vec<_>>(),
        "relatedVulnerabilities": assessment.related.iter().take(100).collect::<Vec<_>>(),
        "source": assessment.source,
        "vulnerabilityId": assessment.id,
    });
    out["cvss"] = assessment.scores.iter().map(score).collect();
    out["vulnerablePackages"] = view.packages.iter().take(MAX_PACKAGES).map(package).collect();
    let mut optional = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            out[name] = value;
        }
    };
    optional("sourceUrl", assessment.source_url.as_ref().map(|url| json!(url)));
    optional("vendorSeverity", assessment.vendor_severity.as_ref().map(|word| json!(word)));
    optional("vendorCreatedAt", assessment.published.map(|at| times.write(at)));
    optional("vendorUpdatedAt", assessment.modified.map(|at| times.write(at)));
    out
}

fn score(score: &Score) -> Value {
    json!({
        "baseScore": score.cvss.score,
        "scoringVector": score.cvss.vector,
        "source": score.source.0,
        "version": score.cvss.version.as_str(),
    })
}

fn package(package: &AffectedPackage) -> Value {
    let component = &package.component;
    let (epoch, version, release) = component.version_parts();
    let mut out = json!({
        "name": component.name,
        "version": version,
        "fixedInVersion": package.fixed_in.as_deref().map_or_else(|| "NotAvailable".to_owned(), |fixed| with_epoch(component, fixed)),
        "packageManager": manager(package.manager),
    });
    if component.ecosystem.family.is_os() {
        out["epoch"] = json!(epoch);
        if let Some(release) = release {
            out["release"] = json!(release);
        }
    }
    if let Some(arch) = &package.arch {
        out["arch"] = json!(arch.to_uppercase());
    }
    if let Some(layer) = &package.layer {
        out["sourceLayerHash"] = json!(layer);
    }
    if let (Some(path), false) = (&package.path, component.ecosystem.family.is_os()) {
        out["filePath"] = json!(path);
    }
    out
}

/// Inspector writes the epoch of an operating system's fix even when it is 0.
fn with_epoch(component: &Component, fixed: &str) -> String {
    if component.ecosystem.family.is_os() && !fixed.contains(':') { format!("0:{fixed}") } else { fixed.to_owned() }
}

/// The package manager as Inspector spells it; of those that it does not know the nearest of the same language.
#[must_use]
pub const fn manager(manager: Option<Manager>) -> &'static str {
    match manager {
        Some(Manager::Apk | Manager::Bottlerocket | Manager::Dpkg | Manager::Pacman | Manager::Rpm | Manager::WindowsServicing) => "OS",
        Some(Manager::Bundler) => "BUNDLER",
        Some(Manager::Gem) => "GEMSPEC",
        Some(Manager::Cargo | Manager::RustBinary) => "CARGO",
        Some(Manager::Composer) => "COMPOSER",
        Some(Manager::GoBinary) => "GOBINARY",
        Some(Manager::GoModules) => "GOMOD",
        Some(Manager::Jar) => "JAR",
        Some(Manager::Gradle | Manager::Maven | Manager::Sbt) => "POM",
        Some(Manager::Bun | Manager::Npm | Manager::Pnpm) => "NPM",
        Some(Manager::NodePackage) => "NODEPKG",
        Some(Manager::NuGet) => "NUGET",
        Some(Manager::DotNetDeps) => "DOTNET_CORE",
        Some(Manager::Pip | Manager::Uv) => "PIP",
        Some(Manager::Poetry) => "POETRY",
        Some(Manager::Conda | Manager::PythonPackage) => "PYTHONPKG",
        Some(Manager::Yarn) => "YARN",
        _ => "GENERIC",
    }
}

/// A resource, as a finding names it.
#[must_use]
pub fn resource(resource: &Resource, times: Times) -> Value {
    let key = &resource.key;
    let mut out = json!({
        "id": key.id,
        "partition": key.scope.partition,
        "region": key.scope.region,
        "type": resource_type(key.kind),
    });
    let tags: Map<String, Value> = resource.tags.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
    if !tags.is_empty() {
        out["tags"] = Value::Object(tags);
    }
    match &resource.details {
        ResourceDetails::Instance(instance) => out["details"] = json!({"awsEc2Instance": instance_details(instance, times)}),
        ResourceDetails::Function(function) => out["details"] = json!({"awsLambdaFunction": function_details(function, times)}),
        ResourceDetails::MachineImage(image) => out["details"] = json!({"machineImage": machine_image(key, image, times)}),
        _ => {}
    }
    if let ResourceDetails::Image(image) = &resource.details {
        let mut details = json!({
            "imageHash": image.digest,
            "imageTags": image.tags,
            "pushedAt": times.write(image.pushed_at),
            "registry": image.registry,
            "repositoryName": image.repository,
        });
        if !image.architecture.is_empty() {
            details["architecture"] = json!(image.architecture);
        }
        out["details"] = json!({"awsEcrContainerImage": details});
    }
    out
}

fn machine_image(key: &ResourceKey, image: &MachineImageDetails, times: Times) -> Value {
    let mut details = json!({"machineImageId": key.id, "ownerAccountId": key.scope.account, "creationDate": times.write(image.created_at)});
    for (name, text) in [("name", &image.name), ("sourceResourceId", &image.source)] {
        if !text.is_empty() {
            details[name] = json!(text);
        }
    }
    details
}

/// A resource, with where it runs if it is an image.
fn in_use(mut resource: Value, uses: &[ImageUse], times: Times) -> Value {
    if let (Some(image), Some(count), Some(last)) =
        (resource.pointer_mut("/details/awsEcrContainerImage"), ImageUse::count_of(uses), ImageUse::last_of(uses))
    {
        image["inUseCount"] = json!(count);
        image["lastInUseAt"] = times.write(last);
    }
    resource
}

/// Members without those that are empty: what is not known is absent.
fn known(members: Value) -> Value {
    let Value::Object(mut members) = members else { return members };
    members.retain(|_, value| match value {
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Null => false,
        _ => true,
    });
    Value::Object(members)
}

fn instance_details(instance: &InstanceDetails, times: Times) -> Value {
    let mut out = known(json!({
        "type": instance.instance_type,
        "imageId": instance.image,
        "ipV4Addresses": instance.addresses_v4,
        "ipV6Addresses": instance.addresses_v6,
        "keyName": instance.key_name,
        "iamInstanceProfileArn": instance.profile,
        "vpcId": instance.vpc,
        "subnetId": instance.subnet,
    }));
    if instance.launched_at != Timestamp::default() {
        out["launchedAt"] = times.write(instance.launched_at);
    }
    out
}

/// `python3.12` as Inspector writes it: `PYTHON_3_12`.
#[must_use]
pub fn runtime(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        let digit_begins = c.is_ascii_digit() && out.ends_with(|before: char| before.is_ascii_alphabetic());
        if digit_begins && !out.contains('_') {
            out.push('_');
        }
        out.push(if matches!(c, '.' | '-') { '_' } else { c.to_ascii_uppercase() });
    }
    out
}

fn function_details(function: &FunctionDetails, times: Times) -> Value {
    let upper = |list: &[String]| list.iter().map(|word| word.to_uppercase()).collect::<Vec<_>>();
    let mut out = json!({
        "functionName": function.name,
        "runtime": if function.runtime.is_empty() { "UNSUPPORTED".to_owned() } else { runtime(&function.runtime) },
        "codeSha256": function.code,
        "version": function.version,
        "executionRoleArn": function.role,
    });
    let optional = known(json!({
        "layers": function.layers.iter().take(MAX_LAYERS).collect::<Vec<_>>(),
        "packageType": if function.is_image { "IMAGE" } else { "ZIP" },
        "architectures": upper(&function.architectures),
    }));
    if let (Value::Object(members), Some(all)) = (optional, out.as_object_mut()) {
        all.extend(members);
    }
    if !function.vpc.is_empty() {
        out["vpcConfig"] = known(json!({
            "vpcId": function.vpc,
            "subnetIds": function.subnets,
            "securityGroupIds": function.groups,
        }));
    }
    if function.modified_at != Timestamp::default() {
        out["lastModifiedAt"] = times.write(function.modified_at);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_events_are_javas() {
        let at = Timestamp::parse("2024-09-04T16:59:44.356Z").unwrap();
        assert_eq!(Times::Java.write(at), "Wed Sep 04 16:59:44.356 UTC 2024");
        assert_eq!(Times::Java.write(Timestamp::parse("2024-09-04T16:59:44Z").unwrap()), "Wed Sep 04 16:59:44.000 UTC 2024");
    }

    #[test]
    fn runtimes_are_written_as_inspector_writes_them() {
        for (name, word) in [
            ("python3.12", "PYTHON_3_12"),
            ("nodejs22.x", "NODEJS_22_X"),
            ("java8.al2", "JAVA_8_AL2"),
            ("dotnetcore3.1", "DOTNETCORE_3_1"),
            ("go1.x", "GO_1_X"),
            ("", ""),
        ] {
            assert_eq!(runtime(name), word);
        }
    }

    #[test]
    fn fixes_of_systems_packages_carry_their_epoch() {
        let component = Component::new("Debian:12".parse::<lestrade_model::Ecosystem>().unwrap(), "git", "1:2.39.2-1.1");
        assert_eq!(with_epoch(&component, "2.0-1"), "0:2.0-1");
    }
}
