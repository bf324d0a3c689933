//! Where a configuration is: a file, or an address that it is fetched from.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use fluent_uri::{Uri, UriRef};

/// Where a configuration is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Location {
    /// A file.
    File(PathBuf),
    /// An address that it is fetched from.
    Address(Address),
}

impl Location {
    /// What a person names it by: a path, a URI of the form `file:PATH`, or an address, which has
    /// a scheme followed by `://`.
    ///
    /// # Errors
    /// What to say of an address that cannot be one.
    pub fn parse(named: OsString) -> Result<Self, String> {
        // An address is always text.
        let Some(text) = named.to_str() else { return Ok(Self::File(named.into())) };
        let Some((scheme, rest)) = text.split_once(':') else {
            return Ok(Self::File(named.into()));
        };
        if scheme.eq_ignore_ascii_case("file") {
            let path = rest.strip_prefix("//localhost/").map(|path| format!("/{path}"));
            let path = path.unwrap_or_else(|| rest.strip_prefix("//").unwrap_or(rest).to_owned());
            return Ok(Self::File(path.into()));
        }
        if rest.starts_with("//") && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Address::parse(text).map(Self::Address);
        }
        Ok(Self::File(named.into()))
    }

    /// Its path, where it is a file.
    #[must_use]
    pub fn as_file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Address(_) => None,
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Address(address) => address.fmt(f),
        }
    }
}

impl From<PathBuf> for Location {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}

/// An absolute URI with a host, in normal form. What may be secret in it, the user information and
/// what follows a `?`, is never printed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address(Uri<String>);

impl Address {
    /// An address as a person writes it.
    ///
    /// # Errors
    /// What to say where it is none. The text itself is not repeated.
    pub fn parse(text: &str) -> Result<Self, String> {
        let uri = Uri::parse(text).map_err(|error| {
            let at = error.index() + 1;
            format!("an address has a character at place {at} that an address cannot have there")
        })?;
        Self::new(&uri.strip_fragment().normalize())
    }

    fn new(uri: &Uri<String>) -> Result<Self, String> {
        match uri.authority() {
            Some(authority) if !authority.host().is_empty() => Ok(Self(uri.clone())),
            _ => Err("an address names a host, as in SCHEME://HOST/PATH".to_owned()),
        }
    }

    /// Its scheme, in small letters.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.0.scheme().as_str()
    }

    /// All of it but the user information: where to connect to and what to ask for there, and what
    /// tells one address from another. It may have something secret after a `?`.
    #[must_use]
    pub fn target(&self) -> String {
        let query = self.0.query().map_or_else(String::new, |query| format!("?{query}"));
        format!("{}{}{query}", self.origin(), self.0.path())
    }

    /// The user information, decoded: `USER` or `USER:PASSWORD`.
    #[must_use]
    pub fn user(&self) -> Option<Secret> {
        let user = self.0.authority()?.userinfo()?;
        Some(Secret::new(user.decode().to_string_lossy()))
    }

    /// The address that a reference leads to from here, without user information.
    ///
    /// # Errors
    /// What to say where the reference leads to no address. The reference is not repeated.
    pub fn resolve(&self, reference: &str) -> Result<Self, String> {
        let none = || "it leads to no address".to_owned();
        let reference = UriRef::parse(reference).map_err(|_| none())?;
        let found = reference.resolve_against(&self.0).map_err(|_| none())?;
        let found = Self::new(&found.strip_fragment().normalize())?;
        Self::parse(&found.target())
    }

    /// Whether scheme, host and port are the same.
    #[must_use]
    pub fn has_origin_of(&self, other: &Self) -> bool {
        self.origin() == other.origin()
    }

    /// Scheme, host and port; the port only where it is not that of the scheme.
    fn origin(&self) -> String {
        let authority = self.0.authority();
        let host = authority.map(|authority| authority.host()).unwrap_or_default();
        let port = authority.and_then(|authority| authority.port());
        let port = port.map_or_else(String::new, |port| format!(":{port}"));
        format!("{}://{host}{port}", self.scheme())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let query = if self.0.has_query() { "?..." } else { "" };
        write!(f, "{}{}{query}", self.origin(), self.0.path())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps a text from being printed.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    #[test]
    fn a_file_is_named_by_path_or_uri() {
        for (text, path) in [
            ("zilla.yaml", "zilla.yaml"),
            ("-", "-"),
            ("/etc/a:b.yaml", "/etc/a:b.yaml"),
            ("draft:2.yaml", "draft:2.yaml"),
            ("./odd://name", "./odd://name"),
            ("file:zilla.yaml", "zilla.yaml"),
            ("file:/etc/zilla.yaml", "/etc/zilla.yaml"),
            ("file:///etc/zilla.yaml", "/etc/zilla.yaml"),
            ("FILE://localhost/etc/zilla.yaml", "/etc/zilla.yaml"),
        ] {
            let location = Location::parse(text.into()).unwrap();
            assert_eq!(location.as_file(), Some(Path::new(path)), "{text}");
        }
    }

    #[test]
    fn an_address_has_a_host_and_is_compared_in_normal_form() {
        let location = Location::parse("HTTPS://Host.example:443/a/../z.yaml#x".into()).unwrap();
        assert_eq!(location, Location::Address(address("https://host.example/z.yaml")));
        for wrong in ["https:///z.yaml", "https://host/a b", "https://[::1/z"] {
            assert!(Location::parse(wrong.into()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_may_be_secret_is_not_printed() {
        let address = address("https://ann:hunter2@host.example:8443/z.yaml?token=hunter3");
        assert_eq!(address.to_string(), "https://host.example:8443/z.yaml?...");
        assert_eq!(format!("{address:?}"), address.to_string());
        assert_eq!(address.target(), "https://host.example:8443/z.yaml?token=hunter3");
        let user = Address::parse("https://an%6E:p%40ss@host/z.yaml").unwrap().user().unwrap();
        assert_eq!(user.expose(), "ann:p@ss");
        let error = Address::parse("https://ann:hunter2@host/a b").unwrap_err();
        assert!(!error.contains("hunter2") && error.contains("place 27"), "{error}");
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret");
    }

    #[test]
    fn a_reference_is_resolved_without_a_user() {
        let from = address("https://ann:pw@host.example/a/z.yaml?x=1");
        for (reference, to, is_same) in [
            ("b.yaml", "https://host.example/a/b.yaml", true),
            ("/b.yaml?y=2#z", "https://host.example/b.yaml?y=2", true),
            ("https://bob:x@HOST.example:443/b", "https://host.example/b", true),
            ("//other.example/b", "https://other.example/b", false),
            ("https://host.example:8443/b", "https://host.example:8443/b", false),
            ("http://eve:x@host.example/b", "http://host.example/b", false),
        ] {
            let found = from.resolve(reference).unwrap();
            assert_eq!((found.target().as_str(), found.user()), (to, None), "{reference}");
            assert_eq!(found.has_origin_of(&from), is_same, "{reference}");
        }
        assert!(from.resolve("http://[/").is_err());
        assert!(from.resolve("mailto:ann").is_err());
    }
}
