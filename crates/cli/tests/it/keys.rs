//! Keys, and the page that tells how to use them.

use crate::lab::{Lab, PATIENCE, Serving, fixture, has_aws};
use crate::watch::sbom;
use lestrade_testkit::{missing, until};
use std::path::Path;
use std::process::{Command, Output};

/// Runs the page's commands in one shell that knows where `lestrade` and its folders are, and nothing else of it.
fn shell(lab: &Lab, script: &str) -> Output {
    let lestrade = lab.lestrade();
    let folder = Path::new(lestrade.get_program()).parent().unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", script]);
    for (name, value) in lestrade.get_envs() {
        value.map(|value| command.env(name, value));
    }
    command
        .current_dir(lab.path(""))
        .env("PATH", path)
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_PAGER", "")
        .output()
        .unwrap()
}

#[test]
fn the_page_on_the_aws_cli_works_line_by_line() {
    if !has_aws() {
        return missing("the AWS CLI");
    }
    let lab = Lab::new();
    // What the page's readers have: intelligence, and a document of their own.
    assert!(lab.run(&["db", "import", fixture("lodash.json").to_str().unwrap()]).status.success());
    lab.write("bom.json", sbom("4.17.20"));
    let serving = until("the server starts", PATIENCE, || Serving::start(&lab, &[]).ok()).unwrap();
    assert_eq!(serving.http("POST", "/api/v1/sboms?name=app", Some(&lab.token()), sbom("4.17.20").as_bytes()).unwrap().0, 200);
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/how-to/use-it-with-the-aws-cli.md");
    let page = std::fs::read_to_string(page).unwrap();
    let commands: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("$ ")).collect();
    assert_eq!(commands[0], "lestrade serve");
    let script = commands[1..].join("\n").replace("http://127.0.0.1:8780", serving.endpoint());
    let output = shell(&lab, &script);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    for shown in ["arn:aws:iam::000000000000:user/ann", "\"SUPPRESS\"", "SUCCEEDED", "triager", "\"high\": 1", "is revoked"] {
        assert!(printed.contains(shown), "{shown}: {printed}");
    }

    // What a role may not, and a key that is revoked.
    let denied = format!(
        "eval \"$(lestrade keys create bob)\"\nexport AWS_ENDPOINT_URL={} AWS_DEFAULT_REGION=us-east-1\n\
         aws inspector2 disable || true\nlestrade keys revoke \"$AWS_ACCESS_KEY_ID\"\naws inspector2 list-findings",
        serving.endpoint()
    );
    let output = shell(&lab, &denied);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && errors.contains("AccessDeniedException") && errors.contains("UnrecognizedClientException"),
        "{errors}"
    );
}

#[test]
fn a_key_of_no_role_and_a_key_that_is_not_there() {
    let lab = Lab::new();
    assert!(lab.transcript(&["keys", "create", "ann", "--role", "king"]).contains("E0216"));
    assert!(lab.transcript(&["keys", "revoke", "AKIA0"]).contains("E0326"));
}

#[test]
fn with_a_certificate_it_is_served_to_others_and_without_one_it_is_not() {
    let lab = Lab::new();
    let refused = lab.transcript(&["serve", "--set", "listen=0.0.0.0:0"]);
    assert!(refused.contains("E0212") && refused.contains("tls-certificate"), "{refused}");
    let half = lab.transcript(&["serve", "--set", "tls-key=key.pem"]);
    assert!(half.contains("E0219"), "{half}");
    let made = std::process::Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=lestrade"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1", "-keyout"])
        .args([lab.path("key.pem"), "-out".into(), lab.path("cert.pem")])
        .output();
    if !has_aws() || !made.is_ok_and(|made| made.status.success()) {
        return missing("openssl or the AWS CLI");
    }
    let settings = ["tls-certificate=cert.pem".to_owned(), "tls-key=key.pem".to_owned()];
    std::fs::set_permissions(lab.path("key.pem"), std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let open = lab.transcript(&["serve", "--set", "listen=127.0.0.1:0", "--set", &settings[0], "--set", &settings[1]]);
    assert!(open.contains("can be read by everybody"), "{open}");
    std::fs::set_permissions(lab.path("key.pem"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();

    let serving = until("the server starts", PATIENCE, || Serving::start(&lab, &settings).ok()).unwrap();
    assert!(serving.endpoint().starts_with("https://"), "{}", serving.endpoint());
    let bundle = lab.path("cert.pem");
    let listed = serving.aws(&["list-findings", "--ca-bundle", bundle.to_str().unwrap()]).unwrap();
    assert!(listed["findings"].as_array().unwrap().is_empty());
    let untrusted = serving.aws(&["list-findings"]).unwrap_err().to_string();
    assert!(untrusted.contains("SSL"), "{untrusted}");
    // Commands here need no certificate; who speaks no TLS to the port gets no answer; who says nothing keeps nobody waiting.
    assert!(lab.transcript(&["status"]).contains("lestrade"), "the commands of this machine still ask");
    let address = serving.endpoint().trim_start_matches("https://").to_owned();
    let _silent: Vec<_> = (0..8).map(|_| std::net::TcpStream::connect(&address).unwrap()).collect();
    assert!(serving.http("GET", "/healthz", None, b"").is_err());
    serving.aws(&["list-findings", "--ca-bundle", bundle.to_str().unwrap()]).unwrap();
}
