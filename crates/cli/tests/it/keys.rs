//! Keys, and the page that tells how to use them.

use crate::lab::{Lab, PATIENCE, Serving, has_aws};
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
    let serving = until("the server starts", PATIENCE, || Serving::start(&lab, &[]).ok()).unwrap();
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/how-to/use-it-with-the-aws-cli.md");
    let page = std::fs::read_to_string(page).unwrap();
    let commands: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("$ ")).collect();
    assert_eq!(commands[0], "lestrade serve");
    let script = commands[1..].join("\n").replace("http://127.0.0.1:8780", serving.endpoint());
    let output = shell(&lab, &script);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    for shown in ["arn:aws:iam::000000000000:user/ann", "\"SUPPRESS\"", "SUCCEEDED", "triager", "is revoked"] {
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
