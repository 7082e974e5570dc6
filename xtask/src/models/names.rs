//! From the names of a model to the names of Rust.

const KEYWORDS: &[&str] = &["as", "fn", "for", "in", "impl", "match", "mod", "move", "ref", "static", "type", "use", "where"];

/// `awsEc2Instance`, `AWSEc2Instance` and `AWS-ec2-instance` as the words `aws`, `ec2`, `instance`.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let letters: Vec<char> = name.chars().collect();
    let mut fresh = true;
    for (i, &c) in letters.iter().enumerate() {
        if !c.is_ascii_alphanumeric() {
            fresh = true;
            continue;
        }
        let after_lower = i > 0 && (letters[i - 1].is_ascii_lowercase() || letters[i - 1].is_ascii_digit());
        let before_lower = i > 0 && letters[i - 1].is_ascii_uppercase() && letters.get(i + 1).is_some_and(char::is_ascii_lowercase);
        fresh |= c.is_ascii_uppercase() && (after_lower || before_lower);
        match words.last_mut() {
            Some(word) if !fresh => word.push(c.to_ascii_lowercase()),
            _ => words.push(c.to_ascii_lowercase().to_string()),
        }
        fresh = false;
    }
    words
}

pub fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}

/// The name of a field, without `r#`.
pub fn plain_field(member: &str) -> String {
    words(member).join("_")
}

/// The name of a field.
pub fn field(member: &str) -> String {
    let plain = plain_field(member);
    if KEYWORDS.contains(&plain.as_str()) { format!("r#{plain}") } else { plain }
}

/// The name of a static.
pub fn constant(shape: &str) -> String {
    words(shape).join("_").to_ascii_uppercase()
}

/// The name of an enum's variant.
pub fn variant(value: &str) -> String {
    // A value in capitals has its words between separators only: `EC2_SSM`, not `Ec2Ssm`'s humps.
    let value = if value.chars().any(|c| c.is_ascii_lowercase()) { value.to_owned() } else { value.to_ascii_lowercase() };
    let name: String = words(&value).iter().map(|word| capital(word)).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("V{name}") } else { name }
}

/// What serde's `rename_all = "camelCase"` makes of a field.
pub fn camel(field: &str) -> String {
    let pascal = pascal(field);
    pascal.chars().next().map(|first| first.to_ascii_lowercase().to_string() + &pascal[1..]).unwrap_or_default()
}

/// What serde's `rename_all = "PascalCase"` makes of a field.
pub fn pascal(field: &str) -> String {
    field.split('_').map(capital).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_customs_of_rust() {
        for (member, field_name) in
            [("awsEc2Instance", "aws_ec2_instance"), ("ipV4Addresses", "ip_v4_addresses"), ("SHA256", "sha256"), ("type", "r#type")]
        {
            assert_eq!(field(member), field_name);
        }
        for (value, name) in [
            ("EC2_SSM_AGENT_BASED", "Ec2SsmAgentBased"),
            ("x86_64", "X8664"),
            ("amd64", "Amd64"),
            ("in-use", "InUse"),
            ("7_DAYS", "V7Days"),
            ("NotAvailable", "NotAvailable"),
        ] {
            assert_eq!(variant(value), name);
        }
        assert_eq!(constant("CvssScoreDetails"), "CVSS_SCORE_DETAILS");
        assert_eq!((camel("aws_ec2"), pascal("ip_v4_addresses")), ("awsEc2".to_owned(), "IpV4Addresses".to_owned()));
    }
}
