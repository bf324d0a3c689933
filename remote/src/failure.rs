//! What to say where nothing was fetched.

use std::io::ErrorKind;

use engine::config::Address;
use engine::spi::FetchError;
use ureq::http::StatusCode;
use ureq::{Error, Timeout};

use crate::patience::Patience;

pub(crate) const UNSENDABLE: &str =
    "the credentials have a character that a header cannot have, such as the end of a line";

pub(crate) const ENCODED: &str = "the server sends it compressed, which was not asked for";

/// A text that ends with the connection may be part of one.
pub(crate) const ENDLESS: &str = "the server sends it without its length (Content-Length), so that \
     a part of it cannot be told from all of it";

/// What a status says that is no answer.
pub(crate) fn status(status: StatusCode, redirected: Option<&Address>) -> FetchError {
    let reason = status.canonical_reason().map_or_else(String::new, |reason| format!(" {reason}"));
    let message = format!("the server answers {}{reason}{}", status.as_u16(), to(redirected));
    let error = FetchError::new(message);
    match status.as_u16() {
        401 | 403 => error.with_help(
            "give it credentials: `zilla start` takes what the header Authorization is to be from \
             the property zilla.filesystem.http.authorization; every command takes \
             USER:PASSWORD@ before the host",
        ),
        404 | 410 => error.with_help("check the address, and whether the file is there"),
        407 => error.with_help("give the proxy of the environment its credentials"),
        _ => error,
    }
}

/// What an error says.
pub(crate) fn of(error: &Error, patience: &Patience, redirected: Option<&Address>) -> FetchError {
    let to = to(redirected);
    if let Some(error) = tls(error) {
        let message = format!("no secure connection{to}: {error}");
        let is_untrusted = matches!(error, rustls::Error::InvalidCertificate(_));
        let error = FetchError::new(message);
        return if is_untrusted {
            error.with_help(
                "where an authority of your own signed the certificate, add it to those of the \
                 system, or name its file in SSL_CERT_FILE",
            )
        } else {
            error
        };
    }
    let message = match error {
        Error::Timeout(Timeout::Resolve | Timeout::Connect) => {
            format!("no connection{to} within {} s", patience.connect.as_secs_f64())
        }
        Error::Timeout(_) => {
            format!("not all of it came in time{to}: {} s", patience.total.as_secs_f64())
        }
        Error::HostNotFound => format!("the name of the host is not known{to}"),
        Error::Io(error) if error.kind() == ErrorKind::UnexpectedEof => {
            format!("the connection ended before all of the answer had come{to}")
        }
        Error::Io(error) => format!("{error}{to}"),
        // Neither has a place for secrets to appear in.
        Error::Protocol(error) => format!("the answer is not HTTP{to}: {error}"),
        Error::ConnectProxyFailed(error) => format!("the proxy of the environment: {error}"),
        Error::InvalidProxyUrl => "the proxy of the environment has no valid address".to_owned(),
        Error::LargeResponseHeader(..) => format!("the header of the answer is too large{to}"),
        Error::BadUri(_) => format!("the address cannot be asked{to}"),
        Error::Tls(error) => format!("no secure connection{to}: {error}"),
        _ => format!("the request failed{to}"),
    };
    FetchError::new(message)
}

/// The error of TLS that an error is or wraps.
fn tls(error: &Error) -> Option<&rustls::Error> {
    match error {
        Error::Rustls(error) => Some(error),
        Error::Io(error) => error.get_ref()?.downcast_ref(),
        _ => None,
    }
}

fn to(redirected: Option<&Address>) -> String {
    redirected.map_or_else(String::new, |address| format!(" (redirected to {address})"))
}
