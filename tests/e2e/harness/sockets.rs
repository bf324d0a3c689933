//! The TCP sockets of a process, as the kernel tells of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Instant;

use super::process::PATIENCE;

/// What tells a socket from all others: its inode.
type Inode = u64;

/// The listening sockets of a process, and the connections to them.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    listening: BTreeSet<(u16, Inode)>,
    /// By the port here and the port of the client.
    connected: BTreeMap<(u16, u16), Inode>,
    /// Connections whose bytes the process has not read yet.
    unread: BTreeSet<(u16, u16)>,
}

impl Sockets {
    /// Those of the process `id` now.
    pub(crate) fn of(id: u32) -> Self {
        let own = inodes(id);
        let table = std::fs::read_to_string(format!("/proc/{id}/net/tcp")).unwrap();
        let rows: Vec<Row> =
            table.lines().skip(1).map(Row::parse).filter(|row| own.contains(&row.inode)).collect();
        let mut sockets = Self::default();
        let listening = rows.iter().filter(|row| row.is_listening);
        sockets.listening.extend(listening.map(|row| (row.local, row.inode)));
        for row in rows.iter().filter(|row| row.is_established) {
            if sockets.listening.iter().any(|(port, _)| *port == row.local) {
                sockets.connected.insert((row.local, row.remote), row.inode);
            }
            if row.has_unread {
                sockets.unread.insert((row.local, row.remote));
            }
        }
        sockets
    }

    /// How many clients are connected.
    pub(crate) fn connections(&self) -> usize {
        self.connected.len()
    }

    /// How many sockets listen on `port`.
    pub(crate) fn listening_on(&self, port: u16) -> usize {
        self.listening.iter().filter(|(other, _)| *other == port).count()
    }

    /// Whether the process has read all that the client at `remote` has sent to `local`.
    fn has_read(&self, local: u16, remote: u16) -> bool {
        !self.unread.contains(&(local, remote))
    }

    /// Waits until the process `id` has read all that these clients sent, each given by the port
    /// that it is connected to and its own.
    pub(crate) fn await_read(id: u32, clients: &[(u16, u16)]) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let sockets = Self::of(id);
            if clients.iter().all(|(local, remote)| sockets.has_read(*local, *remote)) {
                return;
            }
            assert!(Instant::now() < deadline, "bytes are not read: {sockets:?}");
            std::thread::yield_now();
        }
    }

    /// Every listening socket, but those of the ports that are `gone`, and every connection is the
    /// same in `after`.
    #[track_caller]
    pub(crate) fn assert_kept(&self, after: &Self, gone: &[u16]) {
        let kept: BTreeSet<_> =
            self.listening.iter().filter(|(port, _)| !gone.contains(port)).collect();
        let lost: Vec<_> = kept.iter().filter(|socket| !after.listening.contains(socket)).collect();
        assert!(lost.is_empty(), "listening sockets were closed or replaced: {lost:?}");
        for port in gone {
            assert_eq!(after.listening_on(*port), 0, "port {port} is listened on still");
        }
        let is_kept = |pair: &(u16, u16), inode: &Inode| after.connected.get(pair) == Some(inode);
        let of_gone = |pair: &(u16, u16)| gone.contains(&pair.0);
        let lost: Vec<_> = self
            .connected
            .iter()
            .filter(|(pair, inode)| !of_gone(pair) && !is_kept(pair, inode))
            .collect();
        assert!(lost.is_empty(), "connections were lost: {lost:?}");
    }
}

/// The inodes of the sockets that a process holds.
fn inodes(id: u32) -> BTreeSet<Inode> {
    let directory = std::fs::read_dir(Path::new("/proc").join(id.to_string()).join("fd")).unwrap();
    let inode = |entry: std::io::Result<std::fs::DirEntry>| {
        let target = std::fs::read_link(entry.ok()?.path()).ok()?;
        target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    };
    directory.filter_map(inode).collect()
}

/// A line of /proc/net/tcp (proc_pid_net(5)).
struct Row {
    local: u16,
    remote: u16,
    is_listening: bool,
    is_established: bool,
    has_unread: bool,
    inode: Inode,
}

impl Row {
    fn parse(line: &str) -> Self {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let port = |field: &str| {
            u16::from_str_radix(field.rsplit(':').next().unwrap(), 16).expect("a port")
        };
        Self {
            local: port(fields[1]),
            remote: port(fields[2]),
            is_listening: fields[3] == "0A",
            is_established: fields[3] == "01",
            has_unread: !fields[4].ends_with(":00000000"),
            inode: fields[9].parse().expect("an inode"),
        }
    }
}
