//! Publishing at a fixed rate, on a thread of its own.

use std::io::{self, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::clock::Clock;
use crate::wire::Frame;

/// What publishes at a fixed rate.
pub(crate) struct Pacer {
    /// Each publisher's socket and message.
    pub(crate) publishers: Vec<(TcpStream, Frame)>,
    /// Messages a second, of all publishers in turn.
    pub(crate) rate: u32,
    pub(crate) clock: Clock,
    /// When the first message is due, in nanoseconds of the clock, and from when on no more is.
    pub(crate) from: u64,
    pub(crate) until: u64,
}

impl Pacer {
    /// Publishes until the end and returns how many each publisher published.
    ///
    /// # Errors
    ///
    /// Where a connection is broken.
    pub(crate) fn run(mut self) -> io::Result<Vec<u64>> {
        let count = self.publishers.len() as u64;
        let mut published = vec![0; self.publishers.len()];
        let mut out = Vec::new();
        for number in 0.. {
            let due = self.from + due_after(number, self.rate);
            if due >= self.until {
                break;
            }
            self.clock.sleep_until(due);
            let at = usize::try_from(number % count).unwrap_or(0);
            let (stream, frame) = &mut self.publishers[at];
            out.clear();
            frame.write(&mut out, published[at], due);
            write_all(stream, &out)?;
            published[at] += 1;
        }
        Ok(published)
    }
}

/// Nanoseconds from the first message to message `number`.
pub(crate) fn due_after(number: u64, rate: u32) -> u64 {
    let nanos = u128::from(number) * 1_000_000_000 / u128::from(rate.max(1));
    u64::try_from(nanos).unwrap_or(u64::MAX)
}

/// Writes to a socket that does not block.
fn write_all(stream: &mut TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_micros(200));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_due_at_equal_distances_without_drift() {
        assert_eq!(due_after(0, 3), 0);
        assert_eq!(due_after(1, 3), 333_333_333);
        assert_eq!(due_after(3_000_000_000, 3), 1_000_000_000_000_000_000);
    }
}
