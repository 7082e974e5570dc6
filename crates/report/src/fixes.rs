//! Which change removes how much: findings grouped by the upgrade that closes them.

use crate::ScanReport;
use lestrade_findings::Upgrade;
use lestrade_model::{Ecosystem, Family};
use lestrade_versions::Scheme;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// An upgrade.
#[derive(Clone, Debug, PartialEq)]
pub struct Fix {
    /// Whose package.
    pub ecosystem: Ecosystem,
    /// The package that advisories name.
    pub package: String,
    /// The installed packages that are upgraded with it.
    pub installed: Vec<String>,
    /// The version that closes all of them.
    pub to: String,
    /// The vulnerabilities that it closes.
    pub closes: Vec<String>,
    /// The sum of their risk scores.
    pub risk: f64,
    /// How to do it, where there is a usual way.
    pub command: Option<String>,
}

/// The upgrades of a scan, those that remove most risk first.
#[must_use]
pub fn fixes(report: &ScanReport) -> Vec<Fix> {
    struct Draft {
        installed: BTreeSet<String>,
        to: String,
        closes: BTreeMap<String, f64>,
    }
    let mut drafts: BTreeMap<(Ecosystem, String), Draft> = BTreeMap::new();
    for finding in &report.result.findings {
        for package in &finding.packages {
            let Some(fixed) = &package.fixed_in else { continue };
            let component = &package.component;
            let draft = drafts.entry((component.ecosystem.clone(), component.advised_name().to_owned())).or_insert_with(|| Draft {
                installed: BTreeSet::new(),
                to: fixed.clone(),
                closes: BTreeMap::new(),
            });
            draft.installed.insert(component.name.clone());
            draft.closes.insert(finding.assessment.id.clone(), ScanReport::risk_of(finding));
            if is_later(&component.ecosystem.family, fixed, &draft.to) {
                draft.to.clone_from(fixed);
            }
        }
    }
    let mut fixes: Vec<Fix> = drafts
        .into_iter()
        .map(|((ecosystem, package), draft)| {
            let installed: Vec<String> = draft.installed.into_iter().collect();
            let command = command(&ecosystem.family, &installed, &draft.to);
            let risk = draft.closes.values().sum();
            Fix { ecosystem, package, installed, to: draft.to, closes: draft.closes.into_keys().collect(), risk, command }
        })
        .collect();
    fixes.sort_by(|a, b| b.risk.total_cmp(&a.risk).then_with(|| a.package.cmp(&b.package)));
    fixes
}

/// Whether one version is later than another, in the order of their ecosystem.
fn is_later(family: &Family, one: &str, other: &str) -> bool {
    Scheme::of(family).is_some_and(|scheme| scheme.compare(other, one).is_lt())
}

/// How many installed versions, and vulnerabilities, are named of an upgrade of an estate.
const NAMED: usize = 50;

/// An upgrade of an estate: from which versions to which, in how many resources, and what it closes.
#[must_use]
pub fn upgrade_json(upgrade: &Upgrade) -> Value {
    let family = &upgrade.ecosystem.family;
    let mut to: Option<&String> = None;
    for version in &upgrade.fixed_in {
        if to.is_none_or(|known| is_later(family, version, known)) {
            to = Some(version);
        }
    }
    let mut names: Vec<String> = upgrade.installed.iter().map(|(name, _)| name.clone()).collect();
    names.dedup();
    json!({
        "ecosystem": upgrade.ecosystem.to_string(),
        "package": upgrade.package,
        "installed": upgrade.installed.iter().take(NAMED).map(|(name, version)| json!({"name": name, "version": version})).collect::<Vec<_>>(),
        "installedCount": upgrade.installed.len(),
        "to": to,
        "resources": upgrade.resources,
        "findings": upgrade.findings,
        "closes": upgrade.closes.iter().take(NAMED).collect::<Vec<_>>(),
        "closesCount": upgrade.closes.len(),
        "risk": (upgrade.risk * 10.0).round() / 10.0,
        "command": to.and_then(|to| command(family, &names, to)),
    })
}

/// A command that a person may copy: only names and versions that a shell reads as plain words go into it.
pub(crate) fn command(family: &Family, installed: &[String], to: &str) -> Option<String> {
    let plain = |text: &str| {
        !text.is_empty() && !text.starts_with('-') && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"@/._+:~-".contains(&b))
    };
    if !plain(to) || !installed.iter().all(|name| plain(name)) {
        return None;
    }
    let first = installed.first()?;
    Some(match family {
        Family::Debian | Family::Ubuntu => format!("apt-get install --only-upgrade {}", installed.join(" ")),
        Family::Alpine | Family::Wolfi | Family::Chainguard => format!("apk upgrade {}", installed.join(" ")),
        Family::AlmaLinux | Family::RockyLinux | Family::RedHat | Family::Amazon | Family::Oracle => {
            format!("dnf upgrade {}", installed.join(" "))
        }
        // It supports no upgrade of a single package.
        Family::Arch => "pacman -Syu".to_owned(),
        Family::Npm => format!("npm install {first}@{to}"),
        Family::PyPi => format!("pip install '{first}>={to}'"),
        _ => return None,
    })
}
