//! The attacks. Each runs for a time on threads of its own, and does at most so much.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use socket2::SockRef;

use crate::harness::{Connect, Packet, V5, V311, Will, put_bytes, put_properties};

/// Something that a client could do to others.
pub(super) struct Attack {
    pub(super) name: &'static str,
    /// How many threads do it.
    threads: usize,
    /// What one of them does, until its time is up; how often it did it.
    run: fn(&Field) -> usize,
}

/// All of them.
pub(super) const ALL: &[Attack] = &[
    Attack { name: "CONNECT by the byte", threads: 1, run: connects_by_the_byte },
    Attack { name: "half-open connections", threads: 1, run: half_open },
    Attack { name: "flood of connects", threads: 2, run: flood_of_connects },
    Attack { name: "takeovers of one another", threads: 2, run: takeovers },
    Attack { name: "flood of subscribes", threads: 2, run: flood_of_subscribes },
    Attack { name: "giant topics", threads: 2, run: giant_topics },
    Attack { name: "never reading", threads: 2, run: never_reading },
    Attack { name: "wild acknowledgements", threads: 2, run: wild_acknowledgements },
    Attack { name: "garbage", threads: 2, run: garbage },
];

/// Where an attack takes place, and for how long.
pub(super) struct Field {
    port: u16,
    end: Instant,
    /// Of this thread.
    name: String,
}

/// Starts an attack; `from_elsewhere`: as if from other machines, which takes processor time only
/// where nobody else wants it.
pub(super) fn start(
    attack: &Attack,
    port: u16,
    time: Duration,
    from_elsewhere: bool,
) -> Vec<JoinHandle<usize>> {
    let end = Instant::now() + time;
    (0..attack.threads)
        .map(|thread| {
            let name = format!("{}-{thread}", attack.name.replace(' ', "-"));
            let (field, run) = (Field { port, end, name }, attack.run);
            std::thread::spawn(move || {
                if from_elsewhere {
                    give_way();
                }
                run(&field)
            })
        })
        .collect()
}

/// Gives this thread the lowest priority.
fn give_way() {
    let thread = std::fs::read_link("/proc/thread-self").unwrap();
    let thread = thread.file_name().unwrap();
    let mut renice = Command::new("renice");
    renice.args(["-n", "19", "-p"]).arg(thread).stdout(Stdio::null());
    assert!(renice.status().unwrap().success(), "renice");
}

impl Field {
    fn is_over(&self) -> bool {
        Instant::now() >= self.end
    }

    /// A connection to the broker on loopback, where it takes one.
    fn open(&self) -> Option<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        let patience = Some(Duration::from_millis(100));
        stream.set_read_timeout(patience).ok()?;
        stream.set_write_timeout(patience).ok()?;
        // A reset at its end: no port waits for anything.
        SockRef::from(&stream).set_linger(Some(Duration::ZERO)).ok()?;
        Some(stream)
    }

    /// A client that is connected, or would be.
    fn connect(&self, connect: &Connect) -> Option<TcpStream> {
        let mut stream = self.open()?;
        stream.write_all(&connect.encode()).ok()?;
        Some(stream)
    }

    fn client(&self, version: u8, number: usize) -> Option<TcpStream> {
        self.connect(&Connect::new(version, &format!("{}-{number}", self.name)))
    }

    /// Waits until the time is up.
    fn wait(&self) {
        std::thread::sleep(self.end.saturating_duration_since(Instant::now()));
    }
}

/// Reads what is there; whether the connection still is.
fn read_some(stream: &mut TcpStream) -> bool {
    let mut chunk = [0; 65536];
    match stream.read(&mut chunk) {
        Ok(0) => false,
        Ok(_) => true,
        Err(error) => {
            matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
        }
    }
}

fn version_of(number: usize) -> u8 {
    if number.is_multiple_of(2) { V5 } else { V311 }
}

/// Numbers that look random, the same ones each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `end`.
    fn below(&mut self, end: u16) -> usize {
        usize::try_from(self.next() % u64::from(end)).unwrap()
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next().to_le_bytes()[3]).collect()
    }
}

/// Slowloris: connections whose CONNECT comes a byte at a time and never to its end.
fn connects_by_the_byte(field: &Field) -> usize {
    let will = Will::new("w", &[b'x'; 60_000]);
    let bytes = Connect::new(V5, "slow").with_will(will).encode();
    let mut streams: Vec<_> = (0..150).filter_map(|_| field.open()).collect();
    let mut sent = 0;
    for byte in bytes {
        if field.is_over() {
            break;
        }
        streams.retain_mut(|stream| stream.write_all(&[byte]).is_ok());
        sent += streams.len();
        std::thread::sleep(Duration::from_millis(10));
    }
    sent
}

/// Connections that say nothing, half a packet, or that they will say nothing more.
fn half_open(field: &Field) -> usize {
    let streams: Vec<_> = (0..400)
        .filter_map(|number| {
            let mut stream = field.open()?;
            match number % 4 {
                0 => {}
                1 => stream.write_all(&[0x10]).ok()?,
                2 => stream.write_all(&[0x10, 0xff, 0xff, 0x7f, 0, 4, b'M']).ok()?,
                _ => {
                    stream
                        .write_all(&Connect::new(V311, &format!("half-{number}")).encode())
                        .ok()?;
                    stream.shutdown(Shutdown::Write).ok()?;
                }
            }
            Some(stream)
        })
        .collect();
    field.wait();
    streams.len()
}

/// Connections that come and go, with and without waiting for the answer.
fn flood_of_connects(field: &Field) -> usize {
    for number in 0..20_000 {
        if field.is_over() {
            return number;
        }
        if let Some(mut stream) = field.client(version_of(number), number)
            && number.is_multiple_of(3)
        {
            read_some(&mut stream);
        }
    }
    20_000
}

/// Clients of one name, each of which ends the one before it, with a will each.
fn takeovers(field: &Field) -> usize {
    let mut last = None;
    for number in 0..20_000 {
        if field.is_over() {
            return number;
        }
        let connect = Connect { clean: false, ..Connect::new(version_of(number), "one-of-many") };
        let mut stream = field.connect(&connect.with_will(Will::new("w/takeover", b"gone")));
        if let Some(stream) = &mut stream {
            read_some(stream);
        }
        last = stream;
    }
    drop(last);
    20_000
}

/// SUBSCRIBE with many filters, over and over, until and beyond what one client may have.
fn flood_of_subscribes(field: &Field) -> usize {
    let mut sent = 0;
    while !field.is_over() && sent < 5000 {
        let Some(mut stream) = field.client(V5, sent) else { continue };
        for packet in 0..250_usize {
            let mut body = vec![1, 1];
            put_properties(&mut body, V5, &[]);
            for filter in 0..100 {
                put_bytes(&mut body, format!("f/{packet}/+/{filter}/#").as_bytes());
                body.push(1);
            }
            let bytes = Packet { first: 0x82, body }.encode();
            if field.is_over() || stream.write_all(&bytes).is_err() || !read_some(&mut stream) {
                break;
            }
            sent += 1;
        }
    }
    sent
}

/// Topic names and filters as long as the protocol has them, with as many levels as fit, and many
/// that are just short enough.
fn giant_topics(field: &Field) -> usize {
    let mut sent = 0;
    while !field.is_over() && sent < 3000 {
        let Some(mut stream) = field.client(version_of(sent), sent) else { continue };
        for number in 0..20_usize {
            let topic = match number % 5 {
                0 => "x".repeat(65_535),
                1 => "/".repeat(65_535),
                2 => "a/".repeat(30_000),
                3 => format!("{}/{sent}/{}", "y".repeat(4000), field.name),
                _ => format!("{}{sent}", "b/".repeat(126)),
            };
            let mut body = Vec::new();
            let is_filter = number % 3 == 2;
            if is_filter {
                body.extend([1, 1]);
                put_properties(&mut body, version_of(sent), &[]);
            }
            put_bytes(&mut body, topic.as_bytes());
            if is_filter {
                body.push(1);
            } else {
                body.extend([1, 1]);
                put_properties(&mut body, version_of(sent), &[]);
            }
            let first = if is_filter { 0x82 } else { 0x32 };
            if stream.write_all(&Packet { first, body }.encode()).is_err() {
                break;
            }
            sent += 1;
        }
        read_some(&mut stream);
    }
    sent
}

/// Clients that subscribe to everything, publish, and read nothing.
fn never_reading(field: &Field) -> usize {
    let mut streams = Vec::new();
    for number in 0..20 {
        let Some(mut stream) = field.client(V5, number) else { continue };
        let mut body = vec![0, 1];
        put_properties(&mut body, V5, &[]);
        put_bytes(&mut body, b"#");
        body.push(1);
        if stream.write_all(&Packet { first: 0x82, body }.encode()).is_ok() {
            streams.push(stream);
        }
    }
    let mut sent = 0;
    let mut body = Vec::new();
    put_bytes(&mut body, b"never/read");
    body.extend([0, 1]);
    put_properties(&mut body, V5, &[]);
    body.extend([b'n'; 1000]);
    let publish = Packet { first: 0x32, body }.encode();
    while !field.is_over() && sent < 10_000 {
        for stream in &mut streams {
            // Who is not read from is not written to, either.
            if stream.write_all(&publish).is_ok() && stream.write_all(&[0xc0, 0]).is_ok() {
                sent += 1;
            }
        }
    }
    field.wait();
    sent
}

/// Acknowledgements of everything and nothing.
fn wild_acknowledgements(field: &Field) -> usize {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut sent = 0;
    while !field.is_over() && sent < 1_000_000 {
        let Some(mut stream) = field.client(version_of(sent), sent) else { continue };
        loop {
            let bytes: Vec<u8> = (0..200)
                .flat_map(|_| {
                    let first = [0x40, 0x50, 0x62, 0x70][random.below(4)];
                    let [high, low, ..] = random.next().to_le_bytes();
                    [first, 2, high, low]
                })
                .collect();
            if field.is_over() || stream.write_all(&bytes).is_err() {
                break;
            }
            sent += 200;
            // Every other one leaves the answers where they are.
            if random.next().is_multiple_of(2) && !read_some(&mut stream) {
                break;
            }
        }
        sent += 1;
    }
    sent
}

/// Bytes without meaning, in place of CONNECT and after it.
fn garbage(field: &Field) -> usize {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for number in 0..20_000 {
        if field.is_over() {
            return number;
        }
        let stream = match number % 2 {
            0 => field.open(),
            _ => field.client(version_of(number / 2), number),
        };
        let Some(mut stream) = stream else { continue };
        let count = random.below(4096);
        if stream.write_all(&random.bytes(count)).is_ok() {
            read_some(&mut stream);
        }
    }
    20_000
}
