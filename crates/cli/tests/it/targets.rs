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
