//! Generates the service contracts of `crates/wire` from the models that AWS publishes with botocore.
//!
//! Facts only: shapes, members, constraints, HTTP bindings and error codes; no prose. Of a service that we call, only the
//! operations listed here and the shapes that they reach; of those that we answer, all of them.

mod model;
mod names;
mod package;
mod tables;
mod types;

use anyhow::{Context, Result, bail};
use model::{Model, Taken};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// A service, where the package keeps its model, and what we use of it.
struct Service {
    module: &'static str,
    path: &'static str,
    taken: Taken,
}

const SERVICES: &[Service] = &[
    Service {
        module: "cloudformation",
        path: "botocore/data/cloudformation/2010-05-15/service-2.json.gz",
        taken: Taken::Called { typed: &[], data: &["CreateStack", "DescribeStacks", "UpdateStack"] },
    },
    Service {
        module: "cloudwatch",
        path: "botocore/data/cloudwatch/2010-08-01/service-2.json.gz",
        taken: Taken::Called { typed: &[], data: &["GetMetricData"] },
    },
    Service {
        module: "ec2",
        path: "botocore/data/ec2/2016-11-15/service-2.json.gz",
        taken: Taken::Called {
            typed: &["DescribeInstances", "DescribeSecurityGroups"],
            data: &[
                "CreateSnapshot",
                "DeleteSnapshot",
                "DescribeAddresses",
                "DescribeImages",
                "DescribeInternetGateways",
                "DescribeManagedPrefixLists",
                "DescribeNetworkAcls",
                "DescribeNetworkInterfaces",
                "DescribeRouteTables",
                "DescribeSnapshots",
                "DescribeSubnets",
                "DescribeTransitGatewayAttachments",
                "DescribeTransitGatewayRouteTables",
                "DescribeTransitGatewayVpcAttachments",
                "DescribeTransitGateways",
                "DescribeVpcBlockPublicAccessExclusions",
                "DescribeVpcBlockPublicAccessOptions",
                "DescribeVpcPeeringConnections",
                "DescribeVpcs",
                "DescribeVpnGateways",
                "GetManagedPrefixListEntries",
                "ModifyNetworkInterfaceAttribute",
                "SearchTransitGatewayRoutes",
            ],
        },
    },
    Service {
        module: "ebs",
        path: "botocore/data/ebs/2019-11-02/service-2.json.gz",
        taken: Taken::Called { typed: &[], data: &["GetSnapshotBlock", "ListSnapshotBlocks"] },
    },
    Service {
        module: "ecr",
        path: "botocore/data/ecr/2015-09-21/service-2.json.gz",
        taken: Taken::Called {
            typed: &["DescribeImages", "DescribeRepositories", "GetAuthorizationToken"],
            data: &["GetRegistryScanningConfiguration"],
        },
    },
    Service {
        module: "ecs",
        path: "botocore/data/ecs/2014-11-13/service-2.json.gz",
        taken: Taken::Called { typed: &[], data: &["DescribeTasks", "ListClusters", "ListTasks"] },
    },
    Service {
        module: "eks",
        path: "botocore/data/eks/2017-11-01/service-2.json.gz",
        taken: Taken::Called { typed: &[], data: &["DescribeCluster", "ListClusters"] },
    },
    Service {
        module: "elb",
        path: "botocore/data/elb/2012-06-01/service-2.json.gz",
        taken: Taken::Called { typed: &[], data: &["DescribeLoadBalancerAttributes", "DescribeLoadBalancers"] },
    },
    Service {
        module: "elbv2",
        path: "botocore/data/elbv2/2015-12-01/service-2.json.gz",
        taken: Taken::Called {
            typed: &[],
            data: &[
                "DescribeListeners",
                "DescribeLoadBalancerAttributes",
                "DescribeLoadBalancers",
                "DescribeRules",
                "DescribeTargetGroupAttributes",
                "DescribeTargetGroups",
                "DescribeTargetHealth",
            ],
        },
    },
    Service { module: "inspector2", path: "botocore/data/inspector2/2020-06-08/service-2.json.gz", taken: Taken::All },
    Service { module: "inspector_scan", path: "botocore/data/inspector-scan/2023-08-08/service-2.json.gz", taken: Taken::All },
    Service {
        module: "lambda",
        path: "botocore/data/lambda/2015-03-31/service-2.json.gz",
        taken: Taken::Called { typed: &["GetFunction", "GetLayerVersionByArn", "ListFunctions", "ListVersionsByFunction"], data: &[] },
    },
    Service {
        module: "organizations",
        path: "botocore/data/organizations/2016-11-28/service-2.json.gz",
        taken: Taken::Called { typed: &[], data: &["ListAccounts"] },
    },
    Service {
        module: "sqs",
        path: "botocore/data/sqs/2012-11-05/service-2.json.gz",
        taken: Taken::Called { typed: &["DeleteMessageBatch", "GetQueueUrl", "ReceiveMessage"], data: &[] },
    },
    Service {
        module: "ssm",
        path: "botocore/data/ssm/2014-11-06/service-2.json.gz",
        taken: Taken::Called {
            typed: &["DescribeInstanceInformation", "GetCommandInvocation", "ListInventoryEntries", "SendCommand"],
            data: &[],
        },
    },
    Service {
        module: "sts",
        path: "botocore/data/sts/2011-06-15/service-2.json.gz",
        taken: Taken::Called { typed: &["AssumeRole", "AssumeRoleWithWebIdentity", "GetCallerIdentity"], data: &[] },
    },
];

/// Writes the generated files, or with `check` fails where the committed ones differ.
pub fn run(root: &Path, check: bool) -> Result<()> {
    let mut package = package::open()?;
    let folder = root.join("crates/wire/src/generated");
    let mut stale = Vec::new();
    for service in SERVICES {
        let model = Model::read(&package.model(service.path)?, service.taken).with_context(|| service.path.to_owned())?;
        let fresh = formatted(root, &generate(service, &model)?)?;
        let target = folder.join(service.module).with_extension("rs");
        if std::fs::read_to_string(&target).is_ok_and(|committed| committed == fresh) {
            continue;
        }
        stale.push(service.module);
        if !check {
            std::fs::write(&target, fresh).with_context(|| target.display().to_string())?;
        }
    }
    match (check, stale.is_empty()) {
        (_, true) => println!("{} services: generated code is what the models say", SERVICES.len()),
        (false, false) => println!("written: {}", stale.join(", ")),
        (true, false) => bail!("not what the models say: {}; run `cargo xtask models`", stale.join(", ")),
    }
    Ok(())
}

fn generate(service: &Service, model: &Model) -> Result<String> {
    let mut out = String::new();
    writeln!(out, "//! The parts of `{}` that Lestrade uses. Generated by `cargo xtask models`; do not edit.", service.module)?;
    writeln!(out, "//!\n//! Source: botocore {}, `{}`,", package::VERSION, service.path)?;
    writeln!(out, "//! package sha256 `{}`.", package::SHA256)?;
    writeln!(out, "//! Licence of the source: Apache-2.0. Facts only: names, types, constraints and bindings.")?;
    writeln!(out, "#![allow(missing_docs, reason = \"generated: the names are the service's own\")]\n")?;
    types::emit(model, &mut out)?;
    tables::emit(model, &mut out)?;
    Ok(out)
}

/// The source as rustfmt lays it out, so that `cargo fmt --check` and `models --check` never disagree.
fn formatted(root: &Path, source: &str) -> Result<String> {
    let mut rustfmt = Command::new("rustfmt")
        .args(["--edition", "2024", "--config-path"])
        .arg(root)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("rustfmt")?;
    let mut stdin = rustfmt.stdin.take().context("rustfmt has no stdin")?;
    let source = source.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(source.as_bytes()));
    let output = rustfmt.wait_with_output()?;
    match writer.join() {
        Ok(written) => written.context("rustfmt")?,
        Err(_) => bail!("writing to rustfmt panicked"),
    }
    if !output.status.success() {
        bail!("rustfmt refused the generated code");
    }
    Ok(String::from_utf8(output.stdout)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Every kind of shape once, and one that no operation reaches.
    fn model() -> Model {
        let source = json!({
            "metadata": {"protocol": "rest-json", "apiVersion": "2020-01-01", "endpointPrefix": "shop"},
            "operations": {
                "GetThing": {
                    "http": {"method": "GET", "requestUri": "/things/{thingId}", "responseCode": 200},
                    "input": {"shape": "GetThingRequest"},
                    "output": {"shape": "GetThingResponse"},
                    "errors": [{"shape": "LostException"}],
                    "documentation": "<p>Prose stays out.</p>",
                },
            },
            "shapes": {
                "GetThingRequest": {"type": "structure", "required": ["thingId"], "members": {
                    "thingId": {"shape": "Id", "location": "uri", "locationName": "thingId"},
                    "type": {"shape": "Kind", "location": "querystring", "locationName": "type"},
                }},
                "GetThingResponse": {"type": "structure", "members": {
                    "URL": {"shape": "Id"}, "madeAt": {"shape": "Time"}, "labels": {"shape": "Labels"}, "choice": {"shape": "Choice"},
                    "paper": {"shape": "Paper"},
                }},
                "LostException": {"type": "structure", "required": ["message"], "members": {"message": {"shape": "Id"}},
                    "error": {"httpStatusCode": 404}, "exception": true},
                "Choice": {"type": "structure", "union": true, "members": {"one": {"shape": "Count"}}},
                "Count": {"type": "integer", "min": 1},
                "Id": {"type": "string", "max": 9, "pattern": "a\\d"},
                "Kind": {"type": "string", "enum": ["BIG", "VERY_BIG"]},
                "Labels": {"type": "list", "member": {"shape": "Id"}},
                "Paper": {"type": "structure", "members": {}, "document": true},
                "Time": {"type": "timestamp"},
                "Unreached": {"type": "structure", "members": {}},
            },
        });
        Model::read(&source, Taken::All).unwrap()
    }

    #[test]
    fn a_model_becomes_types_operations_errors_and_tables() {
        let service = Service { module: "shop", path: "shop.json", taken: Taken::All };
        let code = generate(&service, &model()).unwrap();
        for line in [
            "pub struct GetThingRequest {",
            "pub thing_id: String,",
            "pub r#type: Option<Kind>,",
            "#[serde(rename = \"URL\", skip_serializing_if = \"Option::is_none\")]",
            "pub made_at: Option<crate::EpochSeconds>,",
            "pub labels: Option<Vec<String>>,",
            "pub paper: Option<serde_json::Value>,",
            "Shape::structure(\"Paper\", &[])",
            "One(i32),",
            "VeryBig = \"VERY_BIG\",",
            "GetThing(GetThingRequest => GetThingResponse) = \"GET\" \"/things/{thingId}\" 200,",
            "Lost(LostException) = 404,",
            "Member::required(\"thingId\", &ID).label(\"thingId\")",
            "Shape::string(\"Id\").max(9.0).pattern(\"a\\\\d\")",
            "Shape::list(\"Labels\", &ID, \"member\")",
        ] {
            assert!(code.contains(line), "{line}\n{code}");
        }
        for absent in ["Unreached", "Prose", "struct Paper"] {
            assert!(!code.contains(absent), "{absent}");
        }
    }

    #[test]
    fn what_the_model_lacks_is_an_error() {
        let source =
            json!({"metadata": {"protocol": "rest-json", "apiVersion": "1", "endpointPrefix": "x"}, "operations": {}, "shapes": {}});
        assert!(Model::read(&source, Taken::Called { typed: &["Absent"], data: &[] }).is_err());
        assert!(Model::read(&json!({"metadata": {"protocol": "smoke"}}), Taken::All).is_err());
    }
}
