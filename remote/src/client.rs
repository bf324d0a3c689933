//! Requests, and the redirects that answer them.

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use engine::config::{Address, Secret};
use engine::runtime::Clock;
use engine::spi::{Ask, Fetch, FetchError, Fetched, FetchedContent};
use ureq::http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, DATE, ETAG, HeaderName, HeaderValue,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, LOCATION, RETRY_AFTER, TRANSFER_ENCODING,
};
use ureq::http::{Response, StatusCode};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::typestate::WithoutBody;
use ureq::{Body, RequestBuilder};

use crate::failure;
use crate::patience::Patience;

/// So many redirects are followed.
const REDIRECTS: usize = 5;

const PREFER: HeaderName = HeaderName::from_static("prefer");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// Fetches from one address.
pub(crate) struct Client {
    address: Address,
    /// For the origin of the address only.
    authorization: Option<HeaderValue>,
    agent: ureq::Agent,
    patience: Patience,
    clock: Clock,
}

impl Client {
    /// # Errors
    /// Where the credentials cannot be sent.
    pub(crate) fn new(
        address: &Address,
        authorization: Option<&Secret>,
        patience: Patience,
    ) -> Result<Self, FetchError> {
        let authorization = authorization.cloned().or_else(|| address.user().map(basic));
        let header = |secret: Secret| {
            let header = HeaderValue::from_str(secret.expose());
            let mut header = header.map_err(|_| FetchError::new(failure::UNSENDABLE))?;
            header.set_sensitive(true);
            Ok(header)
        };
        let tls = TlsConfig::builder()
            // Those of the system, so that the authorities of an organization count.
            .root_certs(RootCerts::PlatformVerifier)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let config = ureq::Agent::config_builder()
            .tls_config(tls)
            // A redirect may leave the origin, and the credentials stay.
            .max_redirects(0)
            .http_status_as_error(false)
            .max_idle_connections(0)
            .user_agent(concat!("zilla/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(Some(patience.connect))
            .timeout_connect(Some(patience.connect));
        Ok(Self {
            address: address.clone(),
            authorization: authorization.map(header).transpose()?,
            agent: config.build().into(),
            patience,
            clock: Clock::new(),
        })
    }

    fn request(
        &self,
        address: &Address,
        with_credentials: bool,
        ask: &Ask<'_>,
        timeout: Duration,
    ) -> RequestBuilder<WithoutBody> {
        let mut request = self.agent.get(address.target());
        if let Some(authorization) = self.authorization.as_ref().filter(|_| with_credentials) {
            request = request.header(AUTHORIZATION, authorization);
        }
        if let Some(known) = ask.known {
            let is_date = httpdate::parse_http_date(known).is_ok();
            request =
                request.header(if is_date { IF_MODIFIED_SINCE } else { IF_NONE_MATCH }, known);
        }
        if !ask.wait.is_zero() {
            request = request.header(PREFER, format!("wait={}", ask.wait.as_secs().max(1)));
        }
        request.config().timeout_global(Some(timeout)).build()
    }
}

impl Fetch for Client {
    fn fetch(&self, ask: &Ask<'_>) -> Result<Fetched, FetchError> {
        let deadline = self.clock.now() + self.patience.total + ask.wait;
        let mut address = self.address.clone();
        let mut with_credentials = true;
        for _ in 0..=REDIRECTS {
            let left = deadline.saturating_duration_since(self.clock.now());
            let failed = |error: &_| failure::of(error, &self.patience, redirected(self, &address));
            let request = self.request(&address, with_credentials, ask, left);
            let response = request.call().map_err(|error| failed(&error))?;
            match response.status() {
                StatusCode::OK => {
                    let waits = waits(&response);
                    return Ok(Fetched { content: text(response, ask.most, failed)?, waits });
                }
                StatusCode::NOT_MODIFIED if ask.known.is_some() => {
                    let waits = waits(&response);
                    return Ok(Fetched { content: FetchedContent::Known, waits });
                }
                status if is_redirect(status) => {
                    let location = response.headers().get(LOCATION);
                    let next = follow(&address, location.and_then(|to| to.to_str().ok()))?;
                    with_credentials &= next.has_origin_of(&address);
                    address = next;
                }
                status => {
                    let error = failure::status(status, redirected(self, &address));
                    let pause = retry_after(&response);
                    return Err(pause.into_iter().fold(error, FetchError::with_retry_after));
                }
            }
        }
        Err(FetchError::new(format!("it redirects more than {REDIRECTS} times")))
    }
}

/// The address that the server redirected to, where it did.
fn redirected<'a>(client: &Client, address: &'a Address) -> Option<&'a Address> {
    Some(address).filter(|address| **address != client.address)
}

/// The credentials of user information.
fn basic(user: Secret) -> Secret {
    let user = user.expose();
    let colon = if user.contains(':') { "" } else { ":" };
    Secret::new(format!("Basic {}", BASE64_STANDARD.encode(format!("{user}{colon}"))))
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Where a redirect leads from an address.
pub(crate) fn follow(from: &Address, location: Option<&str>) -> Result<Address, FetchError> {
    let wrong = |why: &str| FetchError::new(format!("its redirect cannot be followed: {why}"));
    let location = location.ok_or_else(|| wrong("it says not where it leads"))?;
    let next = from.resolve(location).map_err(|error| wrong(&error))?;
    match (from.scheme(), next.scheme()) {
        (_, "https") | ("http", "http") => Ok(next),
        ("https", "http") => Err(wrong("it leads from https to http")),
        _ => Err(wrong("it leads to something else than http or https")),
    }
}

/// Whether the server says that it waits for changes where it is asked to.
fn waits(response: &Response<Body>) -> bool {
    let applied = response.headers().get_all(PREFERENCE_APPLIED);
    let mut preferences = applied.iter().filter_map(|value| value.to_str().ok());
    preferences.any(|value| {
        value.split([',', ';']).any(|one| {
            one.split('=').next().is_some_and(|name| name.trim().eq_ignore_ascii_case("wait"))
        })
    })
}

/// A header as text.
fn header<'r>(response: &'r Response<Body>, name: &HeaderName) -> Option<&'r str> {
    response.headers().get(name)?.to_str().ok()
}

/// What the server tells the text from others by: its tag, or else when it was modified. That has
/// seconds only: two texts of the second in which the answer was made have the same (RFC 9110,
/// 8.8.2.2).
fn version(response: &Response<Body>) -> Option<&str> {
    let modified = || {
        let modified = header(response, &LAST_MODIFIED)?;
        let made = httpdate::parse_http_date(header(response, &DATE)?).ok()?;
        Some(modified).filter(|at| httpdate::parse_http_date(at).is_ok_and(|at| at < made))
    };
    header(response, &ETAG).or_else(modified)
}

/// How long the server asks to be left alone, in seconds or until a time of its own clock.
fn retry_after(response: &Response<Body>) -> Option<Duration> {
    let after = header(response, &RETRY_AFTER)?;
    if let Ok(seconds) = after.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(after).ok()?;
    let now = httpdate::parse_http_date(header(response, &DATE)?).ok()?;
    Some(until.duration_since(now).unwrap_or_default())
}

/// The text of an answer; `failed` says what an error is.
fn text(
    mut response: Response<Body>,
    most: u64,
    failed: impl Fn(&ureq::Error) -> FetchError,
) -> Result<FetchedContent, FetchError> {
    let headers = response.headers();
    if headers.get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        return Err(FetchError::new(failure::ENCODED));
    }
    if !headers.contains_key(CONTENT_LENGTH) && !headers.contains_key(TRANSFER_ENCODING) {
        return Err(FetchError::new(failure::ENDLESS));
    }
    let version = version(&response).map(str::to_owned);
    let mut bytes = Vec::new();
    let mut reader = response.body_mut().as_reader().take(most.saturating_add(1));
    reader.read_to_end(&mut bytes).map_err(|error| failed(&error.into()))?;
    Ok(FetchedContent::New { bytes, version })
}
