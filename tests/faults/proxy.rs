//! A TCP proxy that cuts, resets, stalls and delays what goes through it.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use engine::shared::Lock;
use socket2::SockRef;

/// How often a connection looks at what it is to do.
const LOOK: Duration = Duration::from_millis(5);

const PASS: u8 = 0;
const STALL: u8 = 1;
const REFUSE: u8 = 2;

/// A proxy on loopback, until the process ends.
pub(crate) struct Proxy {
    /// Where it listens.
    pub(crate) port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    mode: AtomicU8,
    /// Before bytes are passed on, milliseconds.
    delay: AtomicU64,
    /// Connections that are older than this are reset.
    epoch: AtomicU64,
    /// Where the next cut is, while they are made at random.
    cuts: Lock<Option<Cuts>>,
    made: AtomicUsize,
}

/// Cuts between bytes that a seed chooses.
struct Cuts {
    seed: u64,
    /// Bytes that one lets through at most.
    most: u64,
    /// Bytes until the next.
    left: u64,
}

impl Cuts {
    fn next(mut self) -> Self {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        self.left = (self.seed >> 33) % self.most;
        self
    }
}

impl Proxy {
    /// Passes everything to `target`, a port of loopback.
    pub(crate) fn start(target: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared::default());
        let of_threads = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                of_threads.accept(client, target);
            }
        });
        Self { port, shared }
    }

    /// Passes everything on, at once.
    pub(crate) fn pass(&self) {
        *self.shared.cuts.lock() = None;
        self.shared.delay.store(0, Ordering::Relaxed);
        self.shared.mode.store(PASS, Ordering::Release);
    }

    /// Passes nothing on, and keeps the connections: what a cable that was pulled looks like.
    pub(crate) fn stall(&self) {
        self.shared.mode.store(STALL, Ordering::Release);
    }

    /// Resets all connections, and each that is attempted.
    pub(crate) fn cut(&self) {
        self.shared.mode.store(REFUSE, Ordering::Release);
        self.reset();
    }

    /// Resets the connections that there are.
    pub(crate) fn reset(&self) {
        self.shared.epoch.fetch_add(1, Ordering::AcqRel);
    }

    /// Resets all connections again and again, each time after so many bytes, both ways together,
    /// as `seed` says, but no more than `most`; until [`Proxy::pass`].
    pub(crate) fn cut_at_random(&self, seed: u64, most: u64) {
        *self.shared.cuts.lock() = Some(Cuts { seed, most, left: 0 }.next());
    }

    /// How often connections were cut at random.
    pub(crate) fn cuts(&self) -> usize {
        self.shared.made.load(Ordering::Acquire)
    }

    /// Passes everything on after a delay.
    pub(crate) fn delay(&self, delay: Duration) {
        let millis = u64::try_from(delay.as_millis()).unwrap();
        self.shared.delay.store(millis, Ordering::Relaxed);
        self.shared.mode.store(PASS, Ordering::Release);
    }
}

impl Shared {
    fn accept(self: &Arc<Self>, client: TcpStream, target: u16) {
        // Closing such a socket resets it.
        let _ = SockRef::from(&client).set_linger(Some(Duration::ZERO));
        if self.mode.load(Ordering::Acquire) == REFUSE {
            return;
        }
        let Ok(server) = TcpStream::connect(("127.0.0.1", target)) else { return };
        let _ = SockRef::from(&server).set_linger(Some(Duration::ZERO));
        let (client, server) = (Arc::new(client), Arc::new(server));
        let epoch = self.epoch.load(Ordering::Acquire);
        for (from, to) in [(&client, &server), (&server, &client)] {
            let (from, to, shared) = (Arc::clone(from), Arc::clone(to), Arc::clone(self));
            from.set_read_timeout(Some(LOOK)).unwrap();
            from.set_nodelay(true).unwrap();
            std::thread::spawn(move || shared.pass_on(&from, &to, epoch));
        }
    }

    /// Copies from one side to the other until an end or a reset.
    fn pass_on(&self, mut from: &TcpStream, mut to: &TcpStream, epoch: u64) {
        let mut chunk = vec![0; 65536];
        loop {
            let count = match from.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    0
                }
                Err(_) => break,
            };
            if count > 0 {
                std::thread::sleep(Duration::from_millis(self.delay.load(Ordering::Relaxed)));
            }
            while self.mode.load(Ordering::Acquire) == STALL
                && self.epoch.load(Ordering::Acquire) == epoch
            {
                std::thread::sleep(LOOK);
            }
            if self.epoch.load(Ordering::Acquire) != epoch {
                return;
            }
            let passes = self.passes(count);
            if to.write_all(&chunk[..passes]).is_err() || passes < count {
                return;
            }
        }
        let _ = to.shutdown(std::net::Shutdown::Write);
    }

    /// How many of `count` bytes go through before the next cut, which is made if it is among them.
    fn passes(&self, count: usize) -> usize {
        let mut cuts = self.cuts.lock();
        let Some(mut next) = cuts.take() else { return count };
        let left = usize::try_from(next.left).unwrap();
        if left >= count {
            next.left -= u64::try_from(count).unwrap();
            *cuts = Some(next);
            return count;
        }
        *cuts = Some(next.next());
        self.epoch.fetch_add(1, Ordering::AcqRel);
        self.made.fetch_add(1, Ordering::AcqRel);
        left
    }
}
