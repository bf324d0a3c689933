//! Which directories are watched, and for which names.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

use crate::shared::Lock;

/// What a notice of the system says about the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// Something is happening to it.
    Touched,
    /// A writer has closed it, or another file or link has taken its place: it is complete.
    Closed,
}

/// The watched directories of one file.
pub(super) struct Targets {
    path: PathBuf,
    /// `None`: the system gives no notices.
    watcher: Option<RecommendedWatcher>,
    /// By directory, which one it was when the watch began; `None`: it could not be watched.
    watched: BTreeMap<PathBuf, Option<Identity>>,
    /// What notices count for. The watcher's own thread reads it.
    names: Arc<Lock<BTreeSet<PathBuf>>>,
}

/// Device and inode: a directory that is removed and made again is another one.
type Identity = (u64, u64);

impl Targets {
    /// Watches what leads to `path`, and sends what happens to it.
    pub(super) fn new(path: &Path, notices: SyncSender<Notice>) -> Self {
        let names: Arc<Lock<BTreeSet<PathBuf>>> = Arc::default();
        let known = Arc::clone(&names);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let notice = match event {
                Ok(event) => notice(&event, &known.lock()),
                Err(_) => Some(Notice::Touched),
            };
            if let Some(notice) = notice {
                // A full queue: whoever takes the notices out reads the file after the last.
                notices.try_send(notice).ok();
            }
        });
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let watched = BTreeMap::new();
        let mut targets = Self { path, watcher: watcher.ok(), watched, names };
        targets.renew();
        targets
    }

    /// Whether notices come for everything that leads to the file.
    pub(super) fn are_watched(&self) -> bool {
        !self.watched.is_empty() && self.watched.values().all(Option::is_some)
    }

    /// Follows the links anew, and watches what they lead to now.
    pub(super) fn renew(&mut self) {
        let Some(watcher) = &mut self.watcher else { return };
        let Route { directories, names } = Route::to(&self.path);
        // First, so that nothing which a new watch tells is missed.
        *self.names.lock() = names;
        self.watched.retain(|directory, _| {
            let is_kept = directories.contains(directory);
            if !is_kept {
                // Where the directory is gone, so is the watch.
                watcher.unwatch(directory).ok();
            }
            is_kept
        });
        for directory in directories {
            let identity = fs::metadata(&directory).ok().map(|found| (found.dev(), found.ino()));
            let known = self.watched.get(&directory).copied().flatten();
            if identity.is_some() && identity == known {
                continue;
            }
            if known.is_some() {
                watcher.unwatch(&directory).ok();
            }
            let is_watched = watcher.watch(&directory, RecursiveMode::NonRecursive).is_ok();
            self.watched.insert(directory, identity.filter(|_| is_watched));
        }
    }
}

/// What an event means for the file; `None`: nothing.
fn notice(event: &notify::Event, names: &BTreeSet<PathBuf>) -> Option<Notice> {
    if event.need_rescan() {
        return Some(Notice::Touched);
    }
    if !event.paths.iter().any(|path| names.contains(path)) {
        return None;
    }
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write))
        | EventKind::Modify(ModifyKind::Name(_)) => Some(Notice::Closed),
        // Among them is our own reading.
        EventKind::Access(_) => None,
        _ => Some(Notice::Touched),
    }
}

/// What lies on the way to a file.
#[derive(Debug, Default, PartialEq, Eq)]
struct Route {
    directories: BTreeSet<PathBuf>,
    /// The links on the way, the file, and the directories themselves.
    names: BTreeSet<PathBuf>,
}

/// More links than this are a circle, as to the system itself.
const LINKS: usize = 40;

impl Route {
    /// Follows `path`, which is absolute, as the system does. Where the way ends before the file,
    /// what would continue it counts.
    fn to(path: &Path) -> Self {
        let mut route = Self::default();
        let mut at = PathBuf::from("/");
        let mut rest: VecDeque<OsString> = VecDeque::new();
        push_front(&mut rest, path);
        let mut links = 0;
        while let Some(component) = rest.pop_front() {
            if component == ".." {
                at.pop();
                continue;
            }
            let next = at.join(&component);
            let found = fs::symlink_metadata(&next);
            let link = match &found {
                Ok(found) if found.is_symlink() => fs::read_link(&next).ok(),
                _ => None,
            };
            if link.is_some() || found.is_err() || rest.is_empty() {
                route.names.insert(next.clone());
                route.names.insert(at.clone());
                route.directories.insert(at.clone());
            }
            match link {
                Some(_) if links >= LINKS => break,
                Some(target) => {
                    links += 1;
                    if target.is_absolute() {
                        at = PathBuf::from("/");
                    }
                    push_front(&mut rest, &target);
                }
                None if found.is_err() => break,
                None => at = next,
            }
        }
        route
    }
}

/// Puts the components of `path` before the others.
fn push_front(rest: &mut VecDeque<OsString>, path: &Path) {
    for component in path.components().rev() {
        match component {
            Component::Normal(_) | Component::ParentDir => {
                rest.push_front(component.as_os_str().to_owned());
            }
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn set<const N: usize>(paths: [PathBuf; N]) -> BTreeSet<PathBuf> {
        paths.into_iter().collect()
    }

    #[test]
    fn each_link_on_the_way_is_watched_where_it_lies() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("volume/..1")).unwrap();
        fs::write(root.join("volume/..1/f.yaml"), "").unwrap();
        symlink("..1", root.join("volume/..data")).unwrap();
        symlink("..data/f.yaml", root.join("volume/f.yaml")).unwrap();
        symlink(root.join("volume"), root.join("etc")).unwrap();
        let route = Route::to(&root.join("etc/./f.yaml"));
        let volume = root.join("volume");
        let file = volume.join("..1/f.yaml");
        assert_eq!(route.directories, set([root.clone(), volume.clone(), volume.join("..1")]));
        for name in [root.join("etc"), volume.join("f.yaml"), volume.join("..data"), file] {
            assert!(route.names.contains(&name), "{name:?}");
        }
    }

    #[test]
    fn a_way_that_ends_is_watched_where_it_ends() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let route = Route::to(&root.join("a/b/f.yaml"));
        assert_eq!(route.directories, set([root.clone()]));
        assert_eq!(route.names, set([root.clone(), root.join("a")]));
        symlink("b", root.join("a")).unwrap();
        symlink("a", root.join("b")).unwrap();
        assert_eq!(Route::to(&root.join("a/f.yaml")).directories, set([root.clone()]));
    }

    #[test]
    fn what_happens_to_other_files_is_no_notice() {
        let names = set([PathBuf::from("/d/f.yaml")]);
        let event = |kind, path: &str| notify::Event::new(kind).add_path(path.into());
        let closed = EventKind::Access(AccessKind::Close(AccessMode::Write));
        let read = EventKind::Access(AccessKind::Open(AccessMode::Any));
        let created = EventKind::Create(notify::event::CreateKind::File);
        assert_eq!(notice(&event(closed, "/d/f.yaml"), &names), Some(Notice::Closed));
        assert_eq!(notice(&event(created, "/d/f.yaml"), &names), Some(Notice::Touched));
        assert_eq!(notice(&event(read, "/d/f.yaml"), &names), None);
        assert_eq!(notice(&event(closed, "/d/log"), &names), None);
        let lost = notify::Event::new(EventKind::Other).set_flag(notify::event::Flag::Rescan);
        assert_eq!(notice(&lost, &names), Some(Notice::Touched));
    }
}
