//! The disk is full.

use std::path::Path;
use std::process::Command;

use kafka::embedded::Options;
use kafka_plane::Fault;

use crate::suite::*;
use crate::support::*;

/// A small file system of its own; `None`, and nothing to test, where the system permits none:
/// mounting takes root.
struct Disk(tempfile::TempDir);

impl Disk {
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=4m", "none"]).arg(dir.path());
        let is_mounted = mount.output().is_ok_and(|output| output.status.success());
        is_mounted.then_some(Self(dir))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(self.path()).status().unwrap();
    }
}

#[test]
fn appends_are_refused_while_the_disk_is_full_and_taken_again_when_there_is_room() {
    let Some(disk) = Disk::mount() else { return };
    run(async {
        let ballast = disk.path().join("ballast");
        std::fs::write(&ballast, vec![1; 2 << 20]).unwrap();
        let dir = disk.path().join("log");
        let options = Options { segment_bytes: 1 << 20, ..Options::of(&dir) };
        let first = lease(&options);
        let worker = Worker::new(&first);
        let log = worker.exit.log("log");
        worker.ends(&log).await.unwrap();
        let mut acked = Vec::new();
        let refused = loop {
            let mut value = acked.len().to_be_bytes().to_vec();
            value.resize(10_000, b'x');
            match worker.append(&[draft("log", "k", Some(&value))]).await {
                Ok(()) => acked.push(value),
                Err(fault) => break fault,
            }
            assert!(acked.len() < 1000, "the disk is never full");
        };
        assert_eq!(refused, Fault::Unavailable);
        assert!(acked.len() > 50, "{}", acked.len());
        // It stays so, and what is there is read on.
        let value = [b'x'; 10_000];
        let again = worker.append(&[draft("log", "k", Some(&value))]).await;
        assert_eq!(again, Err(Fault::Unavailable));
        assert_eq!(worker.ends(&log).await.unwrap().len(), 1);
        assert_eq!(values(&stored(&dir, "log")), acked);
        std::fs::remove_file(&ballast).unwrap();
        append_all(&worker, "log", &["room"]).await;
        acked.push(b"room".to_vec());
        drop((log, worker));
        close(first).await;
        let again = lease(&options);
        let worker = Worker::new(&again);
        append_all(&worker, "log", &["after"]).await;
        acked.push(b"after".to_vec());
        let found = stored(&dir, "log");
        assert_eq!(values(&found), acked);
        assert!(found.is_sorted_by(|one, next| one.offset < next.offset));
        drop(worker);
        close(again).await;
    });
}
