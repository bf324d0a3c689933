use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::sync::mpsc::channel;

use tempfile::TempDir;

use super::*;

/// Longer than any poll; only a failure waits for it.
const LONG: Duration = Duration::from_secs(10);

struct Fixture {
    directory: TempDir,
    path: PathBuf,
    changes: Receiver<Change>,
    _watcher: Watcher,
}

/// A watched file with the text `a`.
fn fixture() -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("zilla.yaml");
    fs::write(&path, "a").unwrap();
    watch(directory, path)
}

fn watch(directory: TempDir, path: PathBuf) -> Fixture {
    let (sender, changes) = channel();
    let known = Source::read(&path).unwrap();
    let watcher = Watcher::start_after(&path, &known, move |change| sender.send(change).unwrap());
    Fixture { directory, path, changes, _watcher: watcher.unwrap() }
}

impl Fixture {
    fn write(&self, text: &str) {
        fs::write(&self.path, text).unwrap();
    }

    /// What was told next: a text, or `missing`, `empty`, `unreadable`.
    #[track_caller]
    fn told(&self) -> String {
        match self.changes.recv_timeout(LONG).expect("a change") {
            Change::Content(source) => source.text().to_owned(),
            Change::Missing => "missing".to_owned(),
            Change::Empty => "empty".to_owned(),
            Change::Unreadable(_) => "unreadable".to_owned(),
        }
    }

    /// Nothing was told that the given change, made now, does not explain.
    #[track_caller]
    fn told_only(&self, text: &str) {
        self.write(text);
        assert_eq!(self.told(), text);
    }
}

#[test]
fn a_file_that_is_written_in_place_is_told_each_time() {
    let fixture = fixture();
    for text in ["b", "c", "d"] {
        fixture.told_only(text);
    }
}

#[test]
fn a_change_is_told_within_a_moment_and_not_by_polling() {
    let fixture = fixture();
    let clock = Clock::new();
    let began = clock.now();
    fixture.told_only("b");
    assert!(clock.now() - began < POLL / 2, "{:?}", clock.now() - began);
}

#[test]
fn a_file_that_is_renamed_into_place_is_told_each_time() {
    let fixture = fixture();
    for text in ["b", "c", "d"] {
        let new = fixture.directory.path().join(".zilla.yaml.tmp");
        fs::write(&new, text).unwrap();
        fs::rename(&new, &fixture.path).unwrap();
        assert_eq!(fixture.told(), text);
    }
    // As editors do that keep the old file.
    fs::rename(&fixture.path, fixture.directory.path().join("zilla.yaml~")).unwrap();
    fixture.told_only("e");
}

#[test]
fn a_link_that_is_swapped_is_told_each_time() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let fill = |version: &str| {
        fs::create_dir(at(version)).unwrap();
        fs::write(at(version).join("zilla.yaml"), version).unwrap();
    };
    fill("..1");
    symlink("..1", at("..data")).unwrap();
    symlink("..data/zilla.yaml", at("zilla.yaml")).unwrap();
    let path = at("zilla.yaml");
    let fixture = watch(directory, path);
    let at = |name: &str| fixture.directory.path().join(name);
    for (old, version) in [("..1", "..2"), ("..2", "..3"), ("..3", "..4")] {
        fs::create_dir(at(version)).unwrap();
        fs::write(at(version).join("zilla.yaml"), version).unwrap();
        symlink(version, at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
        fs::remove_dir_all(at(old)).unwrap();
        assert_eq!(fixture.told(), version);
    }
    // The file at the end of the links is watched too.
    fs::write(at("..4/zilla.yaml"), "in place").unwrap();
    assert_eq!(fixture.told(), "in place");
}

#[test]
fn a_file_that_is_gone_is_told_once_and_its_return_is_too() {
    let fixture = fixture();
    fs::remove_file(&fixture.path).unwrap();
    assert_eq!(fixture.told(), "missing");
    // With the text that it had.
    fixture.told_only("a");
    fixture.write("");
    assert_eq!(fixture.told(), "empty");
    fixture.told_only("a");
    fs::remove_file(&fixture.path).unwrap();
    fs::create_dir(&fixture.path).unwrap();
    assert_eq!(fixture.told(), "unreadable");
    fs::remove_dir(&fixture.path).unwrap();
    fs::write(&fixture.path, [0xff]).unwrap();
    assert_eq!(fixture.told(), "unreadable");
    fixture.told_only("b");
}

#[test]
fn a_file_that_is_gone_for_a_moment_is_not_told() {
    let fixture = fixture();
    for _ in 0..3 {
        fs::remove_file(&fixture.path).unwrap();
        fixture.write("");
        fixture.write("a");
    }
    fixture.told_only("b");
}

#[test]
fn a_directory_that_is_replaced_is_watched_again() {
    let root = tempfile::tempdir().unwrap();
    let inner = root.path().join("conf");
    fs::create_dir(&inner).unwrap();
    let path = inner.join("zilla.yaml");
    fs::write(&path, "a").unwrap();
    let fixture = watch(root, path);
    fs::remove_dir_all(&inner).unwrap();
    assert_eq!(fixture.told(), "missing");
    fs::create_dir(&inner).unwrap();
    fixture.told_only("b");
    fixture.told_only("c");
}

#[test]
fn what_changes_nothing_is_not_told() {
    let fixture = fixture();
    fixture.write("a");
    fs::set_permissions(&fixture.path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(fixture.directory.path().join("other.yaml"), "x").unwrap();
    fixture.told_only("b");
}

#[test]
fn a_file_that_is_written_without_pause_is_told_within_a_second() {
    let fixture = fixture();
    let clock = Clock::new();
    let began = clock.now();
    let mut count = 0;
    // Rests for 10 ms between writes, as long as nothing is told.
    let told = loop {
        count += 1;
        fixture.write(&format!("text {count}"));
        if let Ok(change) = fixture.changes.recv_timeout(Duration::from_millis(10)) {
            break change;
        }
        assert!(clock.now() - began < Duration::from_secs(1), "after {count} writes");
    };
    assert!(matches!(told, Change::Content(_)), "{told:?}");
}

#[test]
fn a_file_that_is_never_closed_is_told_within_a_second() {
    use std::io::Write as _;

    let fixture = fixture();
    let mut file = fs::File::options().append(true).open(&fixture.path).unwrap();
    let clock = Clock::new();
    let began = clock.now();
    let told = loop {
        file.write_all(b"x").unwrap();
        if let Ok(change) = fixture.changes.recv_timeout(Duration::from_millis(10)) {
            break change;
        }
        assert!(clock.now() - began < Duration::from_secs(1));
    };
    assert!(matches!(told, Change::Content(_)), "{told:?}");
}

#[test]
fn a_watcher_that_is_dropped_has_ended() {
    let Fixture { directory, path, changes, _watcher } = fixture();
    fs::write(&path, "b").unwrap();
    drop(_watcher);
    // The sender is gone with the thread.
    while changes.recv_timeout(Duration::ZERO).is_ok() {}
    assert!(matches!(changes.recv(), Err(std::sync::mpsc::RecvError)));
    drop(directory);
}
