//! Which files are meant.

use std::fs;
use std::path::{Path, PathBuf};

/// A file as it is named; of a directory, the files of tests below it, by name. Hidden and linked
/// directories are left out.
pub(super) fn find(path: &Path) -> Vec<PathBuf> {
    if !path.is_dir() {
        return vec![path.to_owned()];
    }
    let mut found = Vec::new();
    walk(path, &mut found);
    found
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if !name.starts_with('.') && !path.is_symlink() {
                walk(&path, found);
            }
        } else if name.ends_with(".test.yaml") || name.ends_with(".test.yml") {
            // A path as a person writes it.
            found.push(path.strip_prefix(".").map(Path::to_owned).unwrap_or(path));
        }
    }
}
