//! The second gate: does a component count in this resource? What depends on the resource and on nothing else.

use lestrade_model::{Component, Family, ResourceFacts};

/// Whether a component's verdicts count in a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applicability {
    /// They do.
    Applies,
    /// They do not, because of this.
    NotApplicable(&'static str),
}

/// Whether verdicts about `component` count in a resource of these facts.
///
/// Of several installed kernels only the running one can be attacked; where it is not known which runs (an image, an agent that
/// could not tell), all count.
#[must_use]
pub fn applies_to(facts: &ResourceFacts, component: &Component) -> Applicability {
    let Some(running) = &facts.running_kernel else {
        return Applicability::Applies;
    };
    let kernel = match component.ecosystem.family {
        Family::Debian | Family::Ubuntu => component.name.strip_prefix("linux-image-"),
        _ => None,
    };
    match kernel {
        // `linux-image-amd64` is the meta package that follows the newest kernel: it holds no code.
        Some(release) if release.starts_with(|c: char| c.is_ascii_digit()) && release != running => {
            Applicability::NotApplicable("another kernel is running")
        }
        _ => Applicability::Applies,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lestrade_model::Ecosystem;

    #[test]
    fn only_the_running_kernel_counts() {
        let kernel = |name: &str| Component::new(Ecosystem::release(Family::Debian, "12"), name, "6.1.76-1");
        let facts = ResourceFacts { running_kernel: Some("6.1.0-18-amd64".into()) };
        assert_eq!(applies_to(&facts, &kernel("linux-image-6.1.0-18-amd64")), Applicability::Applies);
        assert!(matches!(applies_to(&facts, &kernel("linux-image-6.1.0-9-amd64")), Applicability::NotApplicable(_)));
        assert_eq!(applies_to(&facts, &kernel("openssl")), Applicability::Applies);
        assert_eq!(applies_to(&ResourceFacts::default(), &kernel("linux-image-6.1.0-9-amd64")), Applicability::Applies);
    }
}
