//! Files as Kubernetes mounts a ConfigMap: each is a link by way of `..data`, a link to a directory
//! of its own for each version, which is put in place at once.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Makes `file` a link into a first version that holds `text`.
pub(crate) fn mount(file: &Path, text: &str) {
    put(file, text);
    symlink(Path::new("..data").join(file.file_name().unwrap()), file).unwrap();
}

/// Puts a version that holds `text` in the place of the one there is, which is removed.
pub(crate) fn swap(file: &Path, text: &str) {
    let volume = file.parent().unwrap();
    let old = std::fs::read_link(volume.join("..data")).unwrap();
    put(file, text);
    std::fs::remove_dir_all(volume.join(old)).unwrap();
}

fn put(file: &Path, text: &str) {
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    let volume = file.parent().unwrap();
    let version = format!("..version_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    std::fs::create_dir(volume.join(&version)).unwrap();
    std::fs::write(volume.join(&version).join(file.file_name().unwrap()), text).unwrap();
    symlink(&version, volume.join("..data_tmp")).unwrap();
    std::fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
}
