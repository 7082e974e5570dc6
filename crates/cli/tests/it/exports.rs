//! Reports of AWS's clients in buckets, of which moto has some.

use crate::lab::{Lab, PATIENCE, Serving, fixture, has_aws};
use crate::watch::sbom;
use lestrade_testkit::{Moto, missing, until};
use serde_json::{Value, json};

const KEY: &str = "arn:aws:kms:us-east-1:000000000000:key/00000000-0000-4000-8000-000000000000";

struct Exports {
    _lab: Lab,
    moto: Moto,
    serving: Serving,
}

impl Exports {
    /// A server that watches two bills of materials and writes to moto's bucket, as whom a profile names.
    fn start(settings: &[&str]) -> Option<Self> {
        if !has_aws() {
            missing("the AWS CLI");
            return None;
        }
        let Some(mut moto) = Moto::start().unwrap() else {
            missing("python3 with moto[server] and boto3");
            return None;
        };
        moto.call("s3", "create_bucket", json!({"Bucket": "reports", "CreateBucketConfiguration": {"LocationConstraint": "eu-west-1"}}))
            .unwrap();
        let lab = Lab::new();
        assert!(lab.run(&["db", "import", fixture("lodash.json").to_str().unwrap()]).status.success());
        lab.write(".aws/credentials", "[exports]\naws_access_key_id = AKIDEXPORTS\naws_secret_access_key = secret\n");
        lab.write(".aws/config", format!("[profile exports]\nregion = eu-west-1\nendpoint_url = {}\n", moto.endpoint()));
        let settings: Vec<String> =
            ["exports=s3", "exports-profile=exports"].iter().chain(settings).map(|text| (*text).to_owned()).collect();
        let serving = until("the server starts", PATIENCE, || Serving::start(&lab, &settings).ok()).unwrap();
        for name in ["first", "second"] {
            let path = format!("/api/v1/sboms?name={name}");
            assert_eq!(serving.http("POST", &path, Some(&lab.token()), sbom("4.17.20").as_bytes()).unwrap().0, 200);
        }
        Some(Self { _lab: lab, moto, serving })
    }

    /// Asks for a report; how it ended.
    fn ended(&self, create: &[&str], status: &[&str], bucket: &str) -> Value {
        let to = format!("bucketName={bucket},keyPrefix=a b/c,kmsKeyArn={KEY}");
        let id = self.serving.aws(&[create, &["--s3-destination", &to]].concat()).unwrap()["reportId"].as_str().unwrap().to_owned();
        let asked = [status, &["--report-id", &id]].concat();
        let ended = || Some(self.serving.aws(&asked).unwrap()).filter(|told| told["status"] != "IN_PROGRESS");
        until("the report ends", PATIENCE, ended).unwrap()
    }

    fn findings(&self, format: &str, bucket: &str) -> Value {
        self.ended(&["create-findings-report", "--report-format", format], &["get-findings-report-status"], bucket)
    }

    /// What is in the bucket: names, contents, and by which key it is encrypted.
    fn written(&self) -> Vec<(String, String, Option<String>)> {
        let script = format!(
            "
import boto3, json
s3 = boto3.client('s3', endpoint_url='{}', region_name='eu-west-1')
objects = [(found['Key'], s3.get_object(Bucket='reports', Key=found['Key'])) for found in s3.list_objects_v2(Bucket='reports').get('Contents', [])]
print(json.dumps([(key, found['Body'].read().decode(), found.get('SSEKMSKeyId')) for key, found in objects]))
",
            self.moto.endpoint()
        );
        serde_json::from_str(&self.serving.boto3(&script).unwrap()).unwrap()
    }
}

#[test]
fn reports_go_to_buckets() {
    let Some(exports) = Exports::start(&[]) else { return };
    let told = exports.findings("CSV", "reports");
    assert_eq!(told["status"], "SUCCEEDED", "{told}\n{}", exports.serving.warnings());
    assert_eq!(exports.findings("JSON", "reports")["status"], "SUCCEEDED");
    let sboms = ["create-sbom-export", "--report-format", "CYCLONEDX_1_4"];
    assert_eq!(exports.ended(&sboms, &["get-sbom-export"], "reports")["status"], "SUCCEEDED");
    let written = exports.written();
    assert_eq!(written.len(), 4, "two reports and a bill of materials of each resource: {written:?}");
    assert!(written.iter().all(|(key, _, kms)| key.starts_with("a b/c/") && kms.as_deref() == Some(KEY)), "{written:?}");
    let of = |ending: &str, inside: &str| {
        written
            .iter()
            .filter(|(key, ..)| key.ends_with(ending) && key.contains(inside))
            .map(|(_, body, _)| body.as_str())
            .collect::<Vec<_>>()
    };
    assert_eq!(of(".csv", "")[0].lines().count(), 1 + 2);
    let report: Value = serde_json::from_str(of(".json", "").iter().find(|body| body.starts_with("{\"findings\"")).unwrap()).unwrap();
    assert_eq!(report["findings"].as_array().unwrap().len(), 2);
    for document in of(".json", "CYCLONEDX_1_4_outputs_") {
        assert_eq!(serde_json::from_str::<Value>(document).unwrap()["specVersion"], "1.4");
    }

    let told = exports.findings("CSV", "no-such-bucket");
    assert_eq!((&told["status"], &told["errorCode"]), (&json!("FAILED"), &json!("BUCKET_NOT_FOUND")), "{told}");
}

#[test]
fn only_the_buckets_that_are_allowed_are_written_to() {
    let Some(exports) = Exports::start(&["exports-buckets=reports", "exports-kms=false"]) else { return };
    assert_eq!(exports.findings("CSV", "reports")["status"], "SUCCEEDED");
    assert!(exports.written().iter().all(|(.., kms)| kms.is_none()));
    let to = format!("bucketName=others,kmsKeyArn={KEY}");
    let refused = exports.serving.aws(&["create-findings-report", "--report-format", "CSV", "--s3-destination", &to]);
    assert!(refused.unwrap_err().to_string().contains("not configured to write to it"));
}

/// Each server ends where it begins the report, as one that runs out of memory would; the fourth does not begin it.
#[test]
fn a_report_that_ends_every_server_is_given_up() {
    if !has_aws() {
        return missing("the AWS CLI");
    }
    let lab = Lab::new();
    assert!(lab.run(&["db", "import", fixture("lodash.json").to_str().unwrap()]).status.success());
    let start = |cut: &str| Serving::start_in(&lab, &[], &[], &[("LESTRADE_CUT", cut.to_owned())]).ok();
    let mut server = until("the server starts", PATIENCE, || start("report: begun")).unwrap();
    let to = format!("bucketName=reports,kmsKeyArn={KEY}");
    // What is asked for is kept before it is answered; the server may end before it answers.
    let _ = server.aws(&["create-findings-report", "--report-format", "CSV", "--s3-destination", &to]);
    until("the first server ends", PATIENCE, || server.has_ended().then_some(())).unwrap();
    for _ in 0..2 {
        // It may end before it says where it listens.
        if let Some(mut server) = start("report: begun") {
            until("the next server ends", PATIENCE, || server.has_ended().then_some(())).unwrap();
        }
    }
    let server = until("a server stays", PATIENCE, || start("report: begun")).unwrap();
    let ended = || server.aws(&["get-findings-report-status"]).ok().filter(|told| told["status"] != "IN_PROGRESS");
    let told = until("the report ends", PATIENCE, ended).unwrap();
    assert_eq!((&told["status"], &told["errorCode"]), (&json!("FAILED"), &json!("INTERNAL_ERROR")), "{told}");
    assert!(told["errorMessage"].as_str().unwrap().contains("ended 3 times"), "{told}");
}

#[test]
fn an_endpoint_that_is_none_is_refused_at_the_start() {
    let said =
        Lab::new().transcript(&["serve", "--set", "listen=127.0.0.1:0", "--set", "exports=s3", "--set", "exports-endpoint=minio:9000"]);
    assert!(said.contains("E0230") && said.contains("https://host:port") && said.ends_with("exit 2"), "{said}");
}
