//! Packages that no ecosystem has advisories of, and NVD's products that they are.
//!
//! Nothing here is concluded from a name: each row was looked up. A package that is not listed is not judged.

use crate::Family;

/// A package and a product of NVD's (CPE 2.3, vendor and product).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CuratedProduct {
    /// The package, by its name in Conda's channels.
    pub package: &'static str,
    /// The vendor, as NVD spells it.
    pub vendor: &'static str,
    /// The product, as NVD spells it.
    pub product: &'static str,
}

const fn conda(package: &'static str, vendor: &'static str, product: &'static str) -> CuratedProduct {
    CuratedProduct { package, vendor, product }
}

/// The list, by package.
pub const CURATED: &[CuratedProduct] = &[
    conda("bzip2", "bzip", "bzip2"),
    conda("cairo", "cairographics", "cairo"),
    conda("curl", "haxx", "curl"),
    conda("expat", "libexpat_project", "libexpat"),
    conda("ffmpeg", "ffmpeg", "ffmpeg"),
    conda("freetype", "freetype", "freetype"),
    conda("git", "git-scm", "git"),
    conda("hdf5", "hdfgroup", "hdf5"),
    conda("krb5", "mit", "kerberos_5"),
    conda("libarchive", "libarchive", "libarchive"),
    conda("libcurl", "haxx", "curl"),
    conda("libcurl", "haxx", "libcurl"),
    conda("libexpat", "libexpat_project", "libexpat"),
    conda("libpng", "libpng", "libpng"),
    conda("libsqlite", "sqlite", "sqlite"),
    conda("libssh2", "libssh2", "libssh2"),
    conda("libtiff", "libtiff", "libtiff"),
    conda("libwebp", "webmproject", "libwebp"),
    conda("libwebp-base", "webmproject", "libwebp"),
    conda("libxml2", "xmlsoft", "libxml2"),
    conda("libxslt", "xmlsoft", "libxslt"),
    conda("libzlib", "zlib", "zlib"),
    conda("nginx", "f5", "nginx"),
    conda("nginx", "nginx", "nginx"),
    conda("nodejs", "nodejs", "node.js"),
    conda("openssh", "openbsd", "openssh"),
    conda("openssl", "openssl", "openssl"),
    conda("perl", "perl", "perl"),
    conda("postgresql", "postgresql", "postgresql"),
    conda("python", "python", "python"),
    conda("redis-server", "redis", "redis"),
    conda("ruby", "ruby-lang", "ruby"),
    conda("sqlite", "sqlite", "sqlite"),
    conda("xz", "tukaani", "xz"),
    conda("zlib", "zlib", "zlib"),
];

/// Whether a package is one that NVD's configurations are asked about. Conda has no advisories of its own: what its environments have of
/// Python's and R's packages those ecosystems answer for, and of what is written in C nobody would.
#[must_use]
pub fn is_curated(family: &Family, name: &str) -> bool {
    *family == Family::Conda && CURATED.binary_search_by_key(&name, |row| row.package).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_order_and_says_nothing_twice() {
        for pair in CURATED.windows(2) {
            let key = |row: &CuratedProduct| (row.package, row.vendor, row.product);
            assert!(key(&pair[0]) < key(&pair[1]), "{pair:?}");
        }
        assert!(is_curated(&Family::Conda, "openssl") && is_curated(&Family::Conda, "nginx"));
        assert!(!is_curated(&Family::Conda, "requests") && !is_curated(&Family::Npm, "openssl"));
    }
}
