//! CVSS against the vectors of other implementations.

use lestrade_model::{Cvss, CvssVersion, Severity};

/// A column that is empty claims nothing.
fn is(score: Option<f64>, column: Option<&&str>) -> bool {
    column.is_none_or(|column| column.is_empty() || score.is_some_and(|score| format!("{score:.1}") == **column))
}

fn has_severity(cvss: &Cvss, column: Option<&&str>) -> bool {
    let ours = Severity::of_score(cvss.score);
    column.is_none_or(|word| word.is_empty() || Severity::of_word(word) == Some(ours))
}

/// One row of a suite; none when it has a shape that is not known.
fn check(columns: &[&str]) -> Option<bool> {
    let first = columns.first()?;
    if let [version, vector, validity @ ("valid" | "invalid"), ..] = columns {
        let version =
            [CvssVersion::V2, CvssVersion::V30, CvssVersion::V31, CvssVersion::V4].into_iter().find(|v| v.as_str() == *version)?;
        let valid = *validity == "valid";
        // What is valid must also be scored, and as the version that it is.
        return Some(version.is_valid(vector) == valid && (!valid || Cvss::parse(vector).is_ok_and(|cvss| cvss.version == version)));
    }
    let Ok(cvss) = Cvss::parse(first) else { return Some(false) };
    Some(match cvss.version {
        CvssVersion::V4 => is(Some(cvss.score), columns.get(1)) && has_severity(&cvss, columns.get(2)),
        _ => {
            is(Some(cvss.score), columns.get(1))
                && is(cvss.temporal(), columns.get(2))
                && is(cvss.environmental(), columns.get(3))
                && has_severity(&cvss, columns.get(4))
        }
    })
}

#[test]
fn conformance_vectors() {
    let root = std::env::var("LESTRADE_EVALS").unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/shared/evals").into());
    let Ok(files) = std::fs::read_dir(format!("{root}/cvss")) else {
        println!("LOUD: no CVSS vectors at {root}; only our own rows were run");
        return;
    };
    let mut files: Vec<_> = files.flatten().map(|file| file.path()).filter(|path| path.extension().is_some_and(|e| e == "tsv")).collect();
    files.sort();
    let mut failures = Vec::new();
    for path in files {
        let suite = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let (mut passed, mut failed) = (0, 0);
        for row in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            match check(&row.split('\t').collect::<Vec<_>>()) {
                Some(true) => passed += 1,
                _ => {
                    failed += 1;
                    failures.push(format!("{suite}: {row}"));
                }
            }
        }
        println!("{suite}: {passed} passed, {failed} failed");
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn validity_is_by_the_letter() {
    for (version, vector, valid) in [
        (CvssVersion::V2, "AV:N/AC:L/Au:N/C:P/I:P/A:P", true),
        (CvssVersion::V2, "AV:N/AC:L/Au:N/C:P/I:P/A:P/E:F", false),
        (CvssVersion::V2, "AC:L/AV:N/Au:N/C:P/I:P/A:P", false),
        (CvssVersion::V31, "CVSS:3.1/AC:L/AV:N/PR:N/UI:N/S:U/C:H/I:H/A:H/E:F", true),
        (CvssVersion::V31, "CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", false),
        (CvssVersion::V31, "CVSS:3.1/AV:N/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", false),
        (CvssVersion::V31, "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H", false),
        (CvssVersion::V4, "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N/CR:H", true),
        (CvssVersion::V4, "CVSS:4.0/AC:L/AV:N/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", false),
        (CvssVersion::V4, "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N/", false),
    ] {
        assert_eq!(version.is_valid(vector), valid, "{vector}");
    }
}
