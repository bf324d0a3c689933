//! An HTTP server for tests: plain or with TLS, one request a connection, and every answer is the
//! test's.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What a client asked.
#[derive(Clone, Debug)]
pub struct Request {
    /// The path, with what follows a `?`.
    pub path: String,
    headers: Vec<(String, String)>,
}

impl Request {
    /// The value of a header, by its name in small letters.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// What the server answers.
#[derive(Clone, Debug)]
pub struct Reply {
    status: u16,
    headers: Vec<String>,
    body: Body,
}

#[derive(Clone, Debug)]
enum Body {
    Text(String),
    /// The beginning of a longer one, then the end of the connection.
    Part(String),
    /// Without a length.
    Bare(String),
    /// A byte now and then, for as long as the client stays.
    Drip,
    /// Spaces, for as long as the client reads.
    Endless,
    /// No answer at all, for as long as the client stays.
    Silence,
}

impl Reply {
    /// 200 with a text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::with(200, Body::Text(text.into()))
    }

    /// A status without a text.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::with(status, Body::Text(String::new()))
    }

    /// 200 with the beginning of a longer text, then the end of the connection.
    pub fn part(text: impl Into<String>) -> Self {
        Self::with(200, Body::Part(text.into()))
    }

    /// 200 with a text that ends with the connection.
    pub fn bare(text: impl Into<String>) -> Self {
        Self::with(200, Body::Bare(text.into()))
    }

    /// 200 with a byte now and then.
    #[must_use]
    pub fn drip() -> Self {
        Self::with(200, Body::Drip)
    }

    /// 200 with a text that does not end.
    #[must_use]
    pub fn endless() -> Self {
        Self::with(200, Body::Endless)
    }

    /// Nothing.
    #[must_use]
    pub fn silence() -> Self {
        Self::with(0, Body::Silence)
    }

    fn with(status: u16, body: Body) -> Self {
        Self { status, headers: Vec::new(), body }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push(format!("{name}: {value}\r\n"));
        self
    }

    /// Its status.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.status
    }

    /// The value of a header that was added.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            .map(str::trim_end)
    }

    fn write(&self, mut stream: impl Read + Write, socket: &TcpStream) -> io::Result<()> {
        let length = match &self.body {
            Body::Text(text) => Some(text.len()),
            Body::Part(text) => Some(text.len() + 1),
            Body::Drip | Body::Endless => Some(1 << 40),
            Body::Bare(_) | Body::Silence => None,
        };
        if !matches!(self.body, Body::Silence) {
            let headers = self.headers.concat();
            let length =
                length.map_or_else(String::new, |length| format!("Content-Length: {length}\r\n"));
            write!(
                stream,
                "HTTP/1.1 {} Status\r\n{headers}{length}Connection: close\r\n\r\n",
                self.status
            )?;
        }
        match &self.body {
            Body::Text(text) | Body::Part(text) | Body::Bare(text) => {
                stream.write_all(text.as_bytes())?
            }
            Body::Endless => loop {
                stream.write_all(&[b' '; 65_536])?;
            },
            Body::Drip | Body::Silence => {
                // Reading ends each pause where the client says nothing, and all where it leaves.
                socket.set_read_timeout(Some(Duration::from_millis(5)))?;
                loop {
                    match stream.read(&mut [0]) {
                        Ok(0) => return Ok(()),
                        Ok(_) => {}
                        Err(error) if is_timeout(&error) => {}
                        Err(error) => return Err(error),
                    }
                    if matches!(self.body, Body::Drip) {
                        stream.write_all(b" ")?;
                        stream.flush()?;
                    }
                }
            }
        }
        stream.flush()
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// A server on loopback. It listens no more when it is dropped.
pub struct WebServer {
    address: SocketAddr,
    scheme: &'static str,
    is_stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// A certificate for `localhost`, signed by an authority of its own.
pub struct Identity {
    /// The certificate of the authority, as PEM.
    pub authority: String,
    config: Arc<ServerConfig>,
}

impl Identity {
    /// Makes one.
    #[must_use]
    pub fn new() -> Self {
        let mut authority = CertificateParams::new([]).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority_key = KeyPair::generate().unwrap();
        let certificate = authority.self_signed(&authority_key).unwrap();
        let issuer = Issuer::new(authority, authority_key);
        let key = KeyPair::generate().unwrap();
        let own = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let own = own.signed_by(&key, &issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![own.der().clone()], key)
            .unwrap();
        Self { authority: certificate.pem(), config: Arc::new(config) }
    }
}

impl Default for Identity {
    fn default() -> Self {
        Self::new()
    }
}

impl WebServer {
    /// A server that answers each request as `answer` says, which may take its time. On `port`, or
    /// with 0 on a free one.
    pub fn start(port: u16, answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::run(port, None, answer)
    }

    /// The same with TLS.
    pub fn start_tls(
        identity: &Identity,
        answer: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::run(0, Some(Arc::clone(&identity.config)), answer)
    }

    fn run(
        port: u16,
        tls: Option<Arc<ServerConfig>>,
        answer: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let address = listener.local_addr().unwrap();
        let is_stopped = Arc::new(AtomicBool::new(false));
        let scheme = if tls.is_some() { "https" } else { "http" };
        let stopped = Arc::clone(&is_stopped);
        let answer = Arc::new(answer);
        let thread = std::thread::spawn(move || {
            for socket in listener.incoming() {
                if stopped.load(Ordering::Acquire) {
                    break;
                }
                let (Ok(socket), tls, answer) = (socket, tls.clone(), Arc::clone(&answer)) else {
                    continue;
                };
                // A client may leave at any time.
                std::thread::spawn(move || serve(socket, tls, &*answer).ok());
            }
        });
        Self { address, scheme, is_stopped, thread: Some(thread) }
    }

    /// The port that it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The URL of a path that begins with `/`. A certificate of [`Identity`] has its host's name.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}://localhost:{}{path}", self.scheme, self.port())
    }
}

impl Drop for WebServer {
    fn drop(&mut self) {
        self.is_stopped.store(true, Ordering::Release);
        // It wakes for one more.
        TcpStream::connect(self.address).ok();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn serve(
    socket: TcpStream,
    tls: Option<Arc<ServerConfig>>,
    answer: &(dyn Fn(&Request) -> Reply + Send + Sync),
) -> io::Result<()> {
    let plain = socket.try_clone()?;
    if let Some(config) = tls {
        let connection = ServerConnection::new(config).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(connection, socket);
        let request = read(&mut stream)?;
        answer(&request).write(&mut stream, &plain)?;
        stream.conn.send_close_notify();
        stream.flush()
    } else {
        let request = read(&socket)?;
        answer(&request).write(&socket, &plain)
    }
}

/// Reads a request, which has no body.
fn read(stream: impl Read) -> io::Result<Request> {
    let mut lines = BufReader::new(stream).lines();
    let mut next = || lines.next().unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()));
    let first = next()?;
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = Vec::new();
    loop {
        let line = next()?;
        let Some((name, value)) = line.split_once(':') else {
            return Ok(Request { path, headers });
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}
