//! A finding in the AWS Security Finding Format 2018-10-08, as Inspector's own findings are written there, under the product ARN that
//! an account has for itself.

use crate::inspector::read_java;
use serde_json::{Map, Value, json};

/// The longest description and title.
const MAX_DESCRIPTION: usize = 1_024;
const MAX_TITLE: usize = 256;
/// The most entries of a list.
const MAX_LIST: usize = 100;

const VULNERABILITY: &str = "Software and Configuration Checks/Vulnerabilities/CVE";
const NETWORK: &str = "Software and Configuration Checks/AWS Security Best Practices/Network Reachability";

/// What is open, as a connection that comes in.
fn open_ports(details: &Value) -> Value {
    let range = &details["openPortRange"];
    json!({
        "Direction": "IN",
        "Protocol": text(details, "/protocol"),
        "OpenPortRange": {"Begin": range["begin"], "End": range["end"]},
    })
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        text.to_owned()
    } else {
        text.chars().take(most - "...Truncated".len()).chain("...Truncated".chars()).collect()
    }
}

/// An event's time as ISO 8601 with whole seconds.
fn iso(java: &str) -> Option<String> {
    Some(read_java(java)?.whole_second().to_string())
}

/// The finding of an `Inspector2 Finding` event; none for any other event.
#[must_use]
pub fn asff(event: &Value, region: &str) -> Option<Value> {
    if text(event, "/detail-type") != "Inspector2 Finding" {
        return None;
    }
    let detail = &event["detail"];
    let account = text(event, "/account");
    let vulnerability = &detail["packageVulnerabilityDetails"];
    let status = text(detail, "/status");
    let severity = match text(detail, "/severity") {
        "UNTRIAGED" => "INFORMATIONAL",
        known => known,
    };
    let normalized = match severity {
        "CRITICAL" => 90,
        "HIGH" => 70,
        "MEDIUM" => 40,
        "LOW" => 1,
        _ => 0,
    };
    let network = detail["networkReachabilityDetails"].is_object();
    let kind = if network { NETWORK } else { VULNERABILITY };
    let updated = iso(text(detail, "/updatedAt"))?;
    let mut product = Map::new();
    product.insert("lestrade/FindingStatus".into(), json!(status));
    if let Some(score) = detail["inspectorScore"].as_f64() {
        product.insert("lestrade/inspectorScore".into(), json!(format!("{score:.1}")));
    }
    let mut finding = json!({
        "SchemaVersion": "2018-10-08",
        "Id": text(detail, "/findingArn"),
        "ProductArn": format!("arn:aws:securityhub:{region}:{account}:product/{account}/default"),
        "GeneratorId": "Lestrade",
        "AwsAccountId": account,
        "Types": [kind],
        "FirstObservedAt": iso(text(detail, "/firstObservedAt"))?,
        "LastObservedAt": iso(text(detail, "/lastObservedAt"))?,
        "CreatedAt": iso(text(detail, "/firstObservedAt"))?,
        "UpdatedAt": updated,
        "Severity": {"Label": severity, "Normalized": normalized},
        "FindingProviderFields": {"Severity": {"Label": severity}, "Types": [kind]},
        "Title": cut(text(detail, "/title"), MAX_TITLE),
        "Description": cut(text(detail, "/description"), MAX_DESCRIPTION),
        "Remediation": {"Recommendation": {"Text": cut(text(detail, "/remediation/recommendation/text"), 512)}},
        "ProductFields": product,
        "Resources": [resource(&detail["resources"][0], region)],
        "Workflow": {"Status": "NEW"},
        "RecordState": if status == "CLOSED" { "ARCHIVED" } else { "ACTIVE" },
    });
    if network {
        finding["Network"] = open_ports(&detail["networkReachabilityDetails"]);
    } else {
        finding["Vulnerabilities"] = json!([vulnerabilities(detail, vulnerability)]);
    }
    Some(finding)
}

fn resource(resource: &Value, region: &str) -> Value {
    let kind = match text(resource, "/type") {
        "AWS_EC2_INSTANCE" => "AwsEc2Instance",
        "AWS_ECR_CONTAINER_IMAGE" => "AwsEcrContainerImage",
        "AWS_LAMBDA_FUNCTION" => "AwsLambdaFunction",
        _ => "Other",
    };
    let mut out = json!({"Type": kind, "Id": text(resource, "/id"), "Partition": "aws", "Region": region});
    if let Some(tags) = resource["tags"].as_object().filter(|tags| !tags.is_empty()) {
        out["Tags"] = tags.iter().take(50).map(|(key, value)| (key.clone(), value.clone())).collect::<Map<_, _>>().into();
    }
    let image = &resource["details"]["awsEcrContainerImage"];
    if kind == "AwsEcrContainerImage" && image.is_object() {
        let mut details = json!({"RepositoryName": text(image, "/repositoryName"), "ImageDigest": text(image, "/imageHash"), "ImageTags": image["imageTags"]});
        for (name, pointer) in [("RegistryId", "/registry"), ("Architecture", "/architecture")] {
            if !text(image, pointer).is_empty() {
                details[name] = json!(text(image, pointer));
            }
        }
        out["Details"] = json!({"AwsEcrContainerImage": details});
    }
    out
}

fn vulnerabilities(detail: &Value, vulnerability: &Value) -> Value {
    let list = |pointer: &str| vulnerability.pointer(pointer).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let package = |package: &Value| {
        let mut out = Map::new();
        for (name, pointer) in [
            ("Name", "/name"),
            ("Version", "/version"),
            ("Release", "/release"),
            ("Architecture", "/arch"),
            ("PackageManager", "/packageManager"),
            ("FilePath", "/filePath"),
            ("FixedInVersion", "/fixedInVersion"),
            ("SourceLayerHash", "/sourceLayerHash"),
        ] {
            if !text(package, pointer).is_empty() {
                out.insert(name.into(), json!(text(package, pointer)));
            }
        }
        if let Some(epoch) = package["epoch"].as_i64() {
            out.insert("Epoch".into(), json!(epoch.to_string()));
        }
        Value::Object(out)
    };
    let score = |score: &Value| json!({"Version": text(score, "/version"), "BaseScore": score["baseScore"], "BaseVector": text(score, "/scoringVector"), "Source": text(score, "/source")});
    let mut out = json!({
        "Id": text(vulnerability, "/vulnerabilityId"),
        "VulnerablePackages": list("/vulnerablePackages").iter().take(MAX_LIST).map(package).collect::<Vec<_>>(),
        "Cvss": list("/cvss").iter().take(MAX_LIST).map(score).collect::<Vec<_>>(),
        "RelatedVulnerabilities": list("/relatedVulnerabilities").iter().take(MAX_LIST).collect::<Vec<_>>(),
        "ReferenceUrls": list("/referenceUrls").iter().take(MAX_LIST).collect::<Vec<_>>(),
        "FixAvailable": text(detail, "/fixAvailable"),
        "ExploitAvailable": text(detail, "/exploitAvailable"),
    });
    if let Some(epss) = detail["epss"]["score"].as_f64() {
        out["EpssScore"] = json!(epss);
    }
    if !text(vulnerability, "/source").is_empty() {
        let mut vendor = json!({"Name": text(vulnerability, "/source")});
        for (name, value) in [("Url", text(vulnerability, "/sourceUrl")), ("VendorSeverity", text(vulnerability, "/vendorSeverity"))] {
            if !value.is_empty() {
                vendor[name] = json!(value);
            }
        }
        for (name, pointer) in [("VendorCreatedAt", "/vendorCreatedAt"), ("VendorUpdatedAt", "/vendorUpdatedAt")] {
            if let Some(at) = iso(text(vulnerability, pointer)) {
                vendor[name] = json!(at);
            }
        }
        out["Vendor"] = vendor;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn javas_times_become_iso() {
        assert_eq!(iso("Wed Sep 04 16:59:44.356 UTC 2024").as_deref(), Some("2024-09-04T16:59:44Z"));
        assert_eq!(iso("yesterday"), None);
    }
}
