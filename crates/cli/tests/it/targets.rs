//! A folder of rules that is served, changed, broken and mended; a receiver that refuses and changes its mind.

use crate::lab::{Lab, PATIENCE, Serving, fixture};
use lestrade_testkit::{Reply, Responder, until};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn rule(name: &str) -> String {
    format!("[[rule]]\nname = \"{name}\"\ntargets = [\"hook\"]\npattern = '{{\"detail-type\": [\"Lestrade Intelligence Refreshed\"]}}'\n")
}

#[test]
fn rules_are_served_and_what_was_refused_is_sent_again() {
    let lab = Lab::new();
    let refusing = Arc::new(AtomicBool::new(true));
    let server = {
        let refusing = refusing.clone();
        Responder::start(move |_| Reply::status(if refusing.load(Ordering::Relaxed) { 400 } else { 200 })).unwrap()
    };
    std::fs::create_dir(lab.path("rules")).unwrap();
    std::fs::write(lab.path("key"), "a-key-that-is-long-enough-to-be-one").unwrap();
    let target = format!(
        "[[target]]\nname = \"hook\"\nkind = \"webhook\"\nurl = \"{}/hook\"\nsigning-key = \"file:{}\"\n",
        server.url(),
        lab.path("key").display()
    );
    std::fs::write(lab.path("rules/a.toml"), format!("{target}{}", rule("news"))).unwrap();
    let settings = [format!("rules={}", lab.path("rules").display()), "allow-private-targets=true".to_owned()];
    let serving = Serving::start(&lab, &settings).unwrap();
    let said = |arguments: &[&str]| lab.transcript(arguments);
    let until_said = |arguments: &[&str], text: &str| {
        let mut last = String::new();
        let seen = until(text, PATIENCE, || {
            last = said(arguments);
            last.contains(text).then_some(())
        });
        assert!(seen.is_ok(), "{arguments:?} says {last}, not '{text}'");
    };

    // Refused: a dead letter, shown with the reason, sent again under the same id.
    assert!(lab.run(&["db", "import", fixture("lodash.json").to_str().unwrap()]).status.success());
    until_said(&["targets", "dead-letters", "hook"], "refused: the receiver answered 400");
    assert!(said(&["targets", "list"]).contains("hook"));
    assert!(said(&["targets", "test", "hook"]).contains("error[E0352]"));
    refusing.store(false, Ordering::Relaxed);
    assert!(said(&["targets", "redrive", "hook"]).starts_with("1 letters are sent again"));
    until_said(&["targets", "dead-letters", "hook"], "0 dead letters");
    until_said(&["targets", "dead-letters", "hook", "--waiting"], "0 waiting letters");
    let news = || server.asked().into_iter().filter(|asked| asked.body.contains("Lestrade Intelligence Refreshed")).collect::<Vec<_>>();
    assert!(news().len() == 2 && news()[0].headers["webhook-id"] == news()[1].headers["webhook-id"]);
    assert!(news()[0].headers["webhook-signature"].starts_with("v1,"));
    assert!(said(&["targets", "test", "hook"]).contains("'hook' took a test event"));
    assert!(said(&["targets", "proposals", "hook"]).starts_with("0 proposals"));
    assert!(said(&["targets", "approve", "hook", "i-1"]).contains("this kind of target proposes nothing"));

    // Told again from the beginning.
    let tail = said(&["events", "tail"]);
    assert!(tail.contains("Lestrade Intelligence Refreshed") && tail.contains("the next event is after place 1"), "{tail}");
    assert!(said(&["events", "replay", "hook", "--after", "0"]).contains("sent again"));
    until("it is told again", PATIENCE, || (news().len() == 3).then_some(())).unwrap();
    assert_eq!(news()[2].headers["webhook-id"], news()[0].headers["webhook-id"]);

    // A wrong file changes nothing and is told; mended, it counts.
    std::fs::write(lab.path("rules/b.toml"), "[[rule]]\nname = \"x\"\n").unwrap();
    until_said(&["rules", "list"], "! the folder is not taken as it is now");
    assert!(said(&["rules", "list"]).contains("news"));
    std::fs::write(lab.path("rules/b.toml"), rule("more")).unwrap();
    until_said(&["rules", "list"], "more");
    assert!(!said(&["rules", "list"]).contains('!'));

    // A file is put there only when all is right with it.
    std::fs::write(lab.path("c.toml"), rule("news")).unwrap();
    let setting = settings[0].as_str();
    assert!(said(&["rules", "add", "c.toml", "--set", setting]).contains("there is another rule 'news'"));
    assert!(!lab.path("rules/c.toml").exists());
    std::fs::write(lab.path("c.toml"), rule("third")).unwrap();
    assert!(said(&["rules", "add", "c.toml", "--set", setting]).contains("3 rules and 1 targets there now"));
    until_said(&["rules", "list"], "third");
    let dry = said(&["rules", "dry-run", "rules"]);
    assert!(dry.contains("→ hook") && dry.contains("nothing was sent"), "{dry}");

    assert!(said(&["targets", "test", "nobody"]).contains("there is no target 'nobody'"));
    serving.kill();
    assert!(said(&["targets", "list"]).contains("error[E0350]: the server does not answer"));
    let log = std::fs::read_to_string(lab.path("serve.log")).unwrap();
    let token = std::fs::read_to_string(lab.path(".local/state/lestrade/api-token")).unwrap();
    assert!(!log.contains("a-key-that-is-long-enough") && !log.contains(token.trim()), "no secret is in the log");
}

/// What STS answers whoever takes on a role, and what a container is told of its own: each with a key that says whose it is.
fn of_a_role(asked: &lestrade_testkit::Asked) -> Option<Reply> {
    const UNTIL: &str = "2099-01-01T00:00:00Z";
    if asked.path == "/container" {
        let told = serde_json::json!({"AccessKeyId": "AKIDCONTAINER", "SecretAccessKey": "secret", "Token": "token-container", "Expiration": UNTIL});
        return Some(Reply::json(200, &told));
    }
    let (action, key) = match &asked.body {
        body if body.contains("Action=AssumeRoleWithWebIdentity&") => ("AssumeRoleWithWebIdentity", "AKIDWEB"),
        body if body.contains("Action=AssumeRole&") => ("AssumeRole", "AKIDROLE"),
        _ => return None,
    };
    // Whoever takes on a role of a profile signs as the profile before it; a web identity is all that it needs.
    let signed = asked.headers.get("authorization").is_some_and(|by| by.contains("Credential=AKIDSOURCE/"));
    if action == "AssumeRole" && !signed || action != "AssumeRole" && !asked.body.contains("WebIdentityToken=a-web-identity") {
        return Some(Reply::status(403));
    }
    let credentials = format!(
        "<Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>token-of-a-role</SessionToken><Expiration>{UNTIL}</Expiration></Credentials>"
    );
    let user = "<AssumedRoleUser><AssumedRoleId>A:lestrade</AssumedRoleId><Arn>arn:aws:sts::123456789012:assumed-role/lestrade/lestrade</Arn></AssumedRoleUser>";
    let body = format!(
        "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result>{credentials}{user}</{action}Result></{action}Response>"
    );
    Some(Reply::Answer(200, vec![("content-type".into(), "text/xml".into())], body))
}

/// Without keys in the environment a target on AWS signs as whoever the SDK's chain finds: a profile, the role of a profile, a web identity, a
/// container's role.
#[test]
fn targets_on_aws_sign_as_whom_the_sdk_finds() {
    let queue = |asked: &lestrade_testkit::Asked| {
        let sent = asked.json()["Entries"].as_array().cloned().unwrap_or_default();
        let taken: Vec<_> =
            sent.iter().map(|entry| serde_json::json!({"Id": entry["Id"], "MessageId": "1", "MD5OfMessageBody": "0"})).collect();
        Reply::json(200, &serde_json::json!({"Successful": taken, "Failed": []}))
    };
    let server = Responder::start(move |asked| of_a_role(asked).unwrap_or_else(|| queue(asked))).unwrap();
    let lab = Lab::new();
    lab.write(".aws/credentials", "[source]\naws_access_key_id = AKIDSOURCE\naws_secret_access_key = secret\n");
    lab.write(".aws/config", "[profile source]\nregion = eu-west-1\n[profile role]\nregion = eu-west-1\nrole_arn = arn:aws:iam::123456789012:role/lestrade\nsource_profile = source\n");
    lab.write("web-identity", "a-web-identity");
    let target = format!(
        "[[target]]\nname = \"queue\"\nkind = \"sqs\"\nregion = \"eu-west-1\"\nendpoint = \"{0}\"\nqueue-url = \"{0}/123456789012/lestrade\"\n",
        server.url()
    );
    lab.write("rules/a.toml", target);
    let settings = [format!("rules={}", lab.path("rules").display()), "allow-private-targets=true".to_owned()];
    let sts = ("AWS_ENDPOINT_URL_STS", server.url());
    let text = |name: &'static str, value: &str| (name, value.to_owned());
    for (environment, key, token) in [
        (vec![text("AWS_PROFILE", "source")], "AKIDSOURCE", None),
        (vec![text("AWS_PROFILE", "role"), sts.clone()], "AKIDROLE", Some("token-of-a-role")),
        (
            vec![
                ("AWS_WEB_IDENTITY_TOKEN_FILE", lab.path("web-identity").display().to_string()),
                text("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/lestrade"),
                text("AWS_REGION", "eu-west-1"),
                sts,
            ],
            "AKIDWEB",
            Some("token-of-a-role"),
        ),
        (vec![("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{}/container", server.url()))], "AKIDCONTAINER", Some("token-container")),
    ] {
        let serving = Serving::start_in(&lab, &settings, &[], &environment).unwrap();
        let said = lab.transcript(&["targets", "test", "queue"]);
        assert!(said.contains("'queue' took a test event"), "{key}: {said}");
        let asked = server.asked().into_iter().rfind(|asked| asked.headers.contains_key("x-amz-target")).unwrap();
        let by = &asked.headers["authorization"];
        assert!(by.contains(&format!("Credential={key}/")) && by.contains("/eu-west-1/sqs/aws4_request"), "{key}: {by}");
        assert_eq!(asked.headers.get("x-amz-security-token").map(String::as_str), token, "{key}");
        serving.kill();
    }
    // Nobody is found: that is said, and nothing is sent.
    std::fs::remove_dir_all(lab.path(".aws")).unwrap();
    let count = server.asked().len();
    let _serving = Serving::start(&lab, &settings).unwrap();
    let said = lab.transcript(&["targets", "test", "queue"]);
    assert!(said.contains("no credentials") && server.asked().len() == count, "{said}");
}
